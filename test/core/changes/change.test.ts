import { jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { headers as createHeaders } from "@nats-io/nats-core";
import type { SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { type Data, Stores, saveBriefly } from "../../support/stores.js";
import { newBucket, type Variant, variants } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";

const saved = async (store: SessionStore<Data>, id: string, data: Data = { user: "ada" }) => {
  const { record } = await store.save(id, data);
  if (!record) throw new Error("not saved");
  return record;
};

describe.each(variants())("a change over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it("tells the type, handle, user, revision and time of each write of another process", async () => {
    const [writer, reader] = await stores.openTwo({ touchAfter: 0 });
    await saved(writer, "earlier");
    const witness = await Witness.of(reader);
    // A write that is late may be left out once it is overwritten: so each is waited for.
    let record = await saved(writer, "one");
    const created = record.revision;
    await witness.untilRevision(created);
    record = (await writer.save("one", { user: "ada", n: 1 }, { record })).record ?? record;
    const updated = record.revision;
    await witness.untilRevision(updated);
    record = (await writer.touch("one", record, { ttl: 90_000_000 })).record ?? record;
    const touched = record.revision;
    await witness.untilRevision(touched);
    await writer.destroy("one");
    await witness.until("four changes", (changes) => changes.length === 4);
    const about = {
      handle: record.handle,
      userHash: reader.hashUser("ada"),
      movedTo: undefined,
      at: expect.any(Number),
    };
    expect(witness.seen).toEqual([
      { ...about, type: "created", revision: created },
      { ...about, type: "updated", revision: updated },
      { ...about, type: "touched", revision: touched },
      { ...about, type: "destroyed", revision: expect.any(Number) },
    ]);
    const [first, ...others] = witness.changes;
    expect(Math.abs((first?.at ?? 0) - Date.now())).toBeLessThan(60_000);
    expect(others.every(({ at }) => at >= (first?.at ?? 0))).toBe(true);
    await witness.stop();
  });

  it("names the session's new user after a move, and none where it has none", async () => {
    const [writer, reader] = await stores.openTwo({ touchAfter: 0 });
    const witness = await Witness.of(reader);
    let record = await saved(writer, "one");
    for (const data of [{ user: "bob" }, {}, { n: 1 }] as Data[]) {
      await witness.untilRevision(record.revision);
      record = (await writer.save("one", data, { record })).record ?? record;
    }
    await witness.untilRevision(record.revision);
    await writer.destroy("one");
    await witness.until("five changes", (changes) => changes.length === 5);
    const [ada, bob] = [reader.hashUser("ada"), reader.hashUser("bob")];
    expect(witness.changes.map(({ userHash }) => userHash)).toEqual([
      ada,
      bob,
      undefined,
      undefined,
      undefined,
    ]);
    await witness.stop();
  });

  it("tells a rotation as one session that is created and one that is destroyed", async () => {
    const [writer, reader] = await stores.openTwo({ touchAfter: 0 });
    const record = await saved(writer, "old");
    const witness = await Witness.of(reader);
    await writer.rotate("old", "new", record.data, { record });
    await witness.until("two changes", (changes) => changes.length === 2);
    expect(witness.changes.map(({ type, handle }) => [type, handle])).toEqual([
      ["created", reader.handleOf("new")],
      ["destroyed", reader.handleOf("old")],
    ]);
    await witness.stop();
  });

  it("tells a deletion by another client with the user that was seen before", async () => {
    const bucket = newBucket();
    const [writer, reader] = await stores.openTwo({ bucket, touchAfter: 0 });
    const witness = await Witness.of(reader);
    const { handle, revision } = await saved(writer, "one");
    await witness.untilRevision(revision);
    const kv = await new Kvm((await stores.connect()) as never).open(bucket);
    await kv.delete(`s.${handle}`);
    await witness.until("two changes", (changes) => changes.length === 2);
    expect(witness.changes[1]).toMatchObject({ type: "destroyed", handle, userHash: reader.hashUser("ada") });
    await witness.stop();
  });
});

describe.each(variants().filter(({ ttls }) => ttls))("an expiry over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it("is told soon after its time, with the user where a write of the session was seen", async () => {
    const bucket = newBucket();
    const [writer, reader] = [await stores.open({ bucket }), await stores.open({ bucket })];
    const unseen = await saveBriefly(writer, "unseen", { user: "ada" }, 2000);
    const witness = await Witness.of(reader);
    const isInTime = Date.now() < unseen.expiresAt;
    const seen = await saveBriefly(writer, "seen", { user: "ada" }, 1200);
    const nobodys = await saveBriefly(writer, "nobody's", {}, 1200);
    const records = isInTime ? [unseen, seen, nobodys] : [seen, nobodys];
    await witness.until("the expiries", () =>
      records.every(({ handle }) => witness.of(handle).includes("expired")),
    );
    for (const record of records) {
      const told = witness.changes.find(({ type, handle }) => type === "expired" && handle === record.handle);
      expect(told?.at).toBeGreaterThanOrEqual(record.expiresAt);
      // The server looks each second, if it gets the time to.
      expect((told?.at ?? 0) - record.expiresAt).toBeLessThan(10_000);
      expect(told?.userHash).toBe(record === seen ? writer.hashUser("ada") : undefined);
    }
    await witness.stop();
  });

  it("is not told of a destroyed session when its tombstone expires", async () => {
    const bucket = newBucket();
    const store = await stores.open({ bucket });
    const record = (await store.save("one", { user: "ada" })).record;
    await store.destroy("one");
    const witness = await Witness.of(store);
    // The marker again, as the store wrote it, but for its time, which is that of the session.
    const nc = await stores.connect();
    const jsm = await jetstreamManager(nc as never);
    const subject = `$KV.${bucket}.s.${record?.handle}`;
    const marker = await jsm.streams.getMessage(`KV_${bucket}`, { last_by_subj: subject });
    const headers = createHeaders();
    for (const name of marker?.header.keys() ?? []) headers.set(name, marker?.header.get(name) as string);
    headers.delete("Nats-Expected-Last-Subject-Sequence");
    headers.set("Nats-TTL", "1s");
    await jsm.jetstream().publish(subject, "", { headers });
    await until(
      "the marker's end",
      async () => (await jsm.streams.info(`KV_${bucket}`)).state.messages === 1,
    );
    const last = await store.save("two", {});
    await witness.untilRevision(last.record?.revision as number);
    expect(witness.of(record?.handle as string)).not.toContain("expired");
    await witness.stop();
  });
});
