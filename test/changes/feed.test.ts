import { jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { headers as createHeaders } from "@nats-io/nats-core";
import type { SessionRecord, SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { openPatient } from "../support/patient.js";
import { newBucket, type Variant, variants } from "../support/variants.js";
import { until } from "../support/wait.js";
import { type Data, Stores, saveBriefly } from "../users/support.js";
import { Witness } from "./support.js";

describe.each(variants())("the changes of sessions, with $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  const openTwo = async () => {
    const bucket = newBucket();
    return {
      bucket,
      writer: await stores.open({ bucket, touchAfter: 0 }),
      reader: await stores.open({ bucket }),
    };
  };
  const saved = async (store: SessionStore<Data>, id: string, data: Data = { user: "ada" }) => {
    const { record } = await store.save(id, data);
    if (!record) throw new Error("not saved");
    return record;
  };

  it("are told as they are made by another process, with who, when and what", async () => {
    const { writer, reader } = await openTwo();
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
    const about = { handle: record.handle, owner: reader.ownerOf("ada"), at: expect.any(Number) };
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

  it("begin with what is written after the call, also without waiting", async () => {
    const { writer } = await openTwo();
    const changes = writer.changes();
    const record = await saved(writer, "one");
    expect((await changes.next()).value).toMatchObject({ type: "created", handle: record.handle });
    await changes.return();
  });

  it("name nobody once nobody's, and the new owner after a move", async () => {
    const { writer, reader } = await openTwo();
    const witness = await Witness.of(reader);
    let record = await saved(writer, "one");
    for (const data of [{ user: "bob" }, {}, { n: 1 }] as Data[]) {
      await witness.untilRevision(record.revision);
      record = (await writer.save("one", data, { record })).record ?? record;
    }
    await witness.untilRevision(record.revision);
    await writer.destroy("one");
    await witness.until("five changes", (changes) => changes.length === 5);
    const [ada, bob] = [reader.ownerOf("ada"), reader.ownerOf("bob")];
    expect(witness.changes.map(({ owner }) => owner)).toEqual([ada, bob, undefined, undefined, undefined]);
    await witness.stop();
  });

  it("tell a new id as one session that begins and one that ends", async () => {
    const { writer, reader } = await openTwo();
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

  it("are those of the store's own prefix, and of sessions alone", async () => {
    const { bucket, reader } = await openTwo();
    const shop = await stores.open({ bucket, prefix: "shop" });
    const [witness, ofShop] = [await Witness.of(reader), await Witness.of(shop)];
    await saved(shop, "one");
    const kv = await new Kvm((await stores.connect()) as never).open(bucket);
    await kv.put("s.other", "of another application");
    await kv.put(`s.${reader.handleOf("x")}`, "no session");
    const last = await saved(reader, "two");
    await witness.untilRevision(last.revision);
    expect(witness.changes).toHaveLength(1);
    await ofShop.until("one change", (changes) => changes.length > 0);
    expect(ofShop.changes.map(({ handle }) => handle)).toEqual([shop.handleOf("one")]);
    await Promise.all([witness.stop(), ofShop.stop()]);
  });

  it("include a deletion by another client, with the owner that was seen before", async () => {
    const { bucket, writer, reader } = await openTwo();
    const witness = await Witness.of(reader);
    const { handle, revision } = await saved(writer, "one");
    await witness.untilRevision(revision);
    const kv = await new Kvm((await stores.connect()) as never).open(bucket);
    await kv.delete(`s.${handle}`);
    await witness.until("two changes", (changes) => changes.length === 2);
    expect(witness.changes[1]).toMatchObject({ type: "destroyed", handle, owner: reader.ownerOf("ada") });
    await witness.stop();
  });

  it("go to several readers, each of which may stop for itself", async () => {
    const { writer, reader } = await openTwo();
    const [one, other] = [await Witness.of(reader), await Witness.of(reader)];
    const first = await saved(writer, "one");
    await Promise.all([one.untilRevision(first.revision), other.untilRevision(first.revision)]);
    await one.stop();
    const second = await saved(writer, "two");
    await other.untilRevision(second.revision);
    expect(other.changes).toHaveLength(2);
    expect(one.changes).toHaveLength(1);
    expect(one.hasEnded).toBe(true);
    // A third one, after all have stopped, begins anew.
    await other.stop();
    const third = await Witness.of(reader);
    const last = await saved(writer, "three");
    await third.untilRevision(last.revision);
    expect(third.changes).toHaveLength(1);
    await third.stop();
  });

  it("come in order and each once, however many write", async () => {
    const { bucket, writer, reader } = await openTwo();
    const witness = await Witness.of(reader);
    const other = await stores.open({ bucket, touchAfter: 0 });
    const began: SessionRecord<Data>[] = [];
    const last: SessionRecord<Data>[] = [];
    const all = new Set<number>();
    await Promise.all(
      Array.from({ length: 10 }, async (_, n) => {
        const store = n % 2 === 0 ? writer : other;
        let record = await saved(store, `session-${n}`);
        all.add(record.revision);
        for (let i = 0; i < 15; i++) {
          const answer = await store.save(`session-${n}`, { user: "ada", i }, { record });
          record = answer.record ?? record;
          all.add(record.revision);
          began.push(await saved(store, `session-${n}-${i}`));
        }
        last.push(record);
      }),
    );
    for (const { revision } of began) all.add(revision);
    await witness.untilRevision(Math.max(...all));
    const told = witness.changes.map(({ revision }) => revision);
    expect(told).toEqual([...new Set(told)].sort((a, b) => a - b));
    expect(told.filter((revision) => !all.has(revision))).toEqual([]);
    // What was overwritten may be left out, where the word of it is late; nothing else.
    const lasting = [...began, ...last].map(({ revision }) => revision);
    expect(lasting.filter((revision) => !told.includes(revision))).toEqual([]);
    expect(witness.seen).toHaveLength(told.length);
    await witness.stop();
  });

  it("wait for a slow reader in a bounded buffer, and tell it that it missed some", async () => {
    const { writer, reader } = await openTwo();
    const changes = reader.changes({ buffer: 5 });
    const witness = await Witness.of(reader);
    await changes.ready;
    let last = 0;
    for (let i = 0; i < 23; i++) last = (await saved(writer, `session-${i}`)).revision;
    await witness.untilRevision(last);
    const read: { type: string; revision?: number }[] = [];
    while (read.at(-1)?.revision !== last) read.push((await changes.next()).value as { type: string });
    expect(read[0]).toEqual({ type: "missed" });
    expect(read.length).toBeLessThanOrEqual(7);
    expect(read.slice(1).every(({ type }) => type === "created")).toBe(true);
    expect(witness.seen).toHaveLength(23);
    await Promise.all([changes.return(), witness.stop()]);
  });

  it("end for who waits when the reader returns, breaks, or the store is closed", async () => {
    const { writer, reader } = await openTwo();
    const done = { done: true, value: undefined };
    const returned = reader.changes();
    await returned.ready;
    const waiting = [returned.next(), returned.next()];
    await returned.return();
    expect(await Promise.all(waiting)).toEqual([done, done]);
    expect(await returned.next()).toEqual(done);

    const broken = reader.changes();
    await broken.ready;
    await saved(writer, "one");
    for await (const change of broken) if (change.type === "created") break;
    expect(await broken.next()).toEqual(done);

    const witness = await Witness.of(reader);
    const starting = reader.changes();
    await reader.close();
    await until("the end of the changes", () => witness.hasEnded);
    expect(witness.error).toBeUndefined();
    expect(await starting.next()).toEqual(done);
    expect(() => reader.changes()).toThrow(expect.objectContaining({ code: "ERR_SESSION_CLOSED" }));
  });

  it("can be left before they have begun", async () => {
    const { writer, reader } = await openTwo();
    const changes = reader.changes();
    const next = changes.next();
    await changes.return();
    expect(await next).toEqual({ done: true, value: undefined });
    await expect(changes.ready).rejects.toMatchObject({ code: "ERR_SESSION_CLOSED" });
    const witness = await Witness.of(reader);
    const { revision } = await saved(writer, "one");
    await witness.untilRevision(revision);
    await witness.stop();
  });

  it("fail once for who waits, and end, when the connection is closed", async () => {
    const bucket = newBucket();
    const nc = await variant.connect();
    const store = await openPatient(nc, { bucket });
    const changes = store.changes();
    await changes.ready;
    const waiting = [changes.next(), changes.next()];
    const settled = Promise.allSettled(waiting);
    await nc.close();
    expect(await settled).toMatchObject([
      { status: "rejected", reason: { code: "ERR_SESSION_UNAVAILABLE" } },
      { status: "fulfilled", value: { done: true } },
    ]);
    const late = store.changes();
    await expect(late.ready).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
    await expect(late.next()).rejects.toMatchObject({ code: "ERR_SESSION_UNAVAILABLE" });
    expect(await late.next()).toMatchObject({ done: true });
    await store.close();
  });

  it.each([0, -1, 1.5, "5", Number.NaN, null])("refuse a buffer of %j", async (buffer) => {
    const { reader } = await openTwo();
    expect(() => reader.changes({ buffer: buffer as never })).toThrow(/`buffer`/);
  });
});

describe.each(variants().filter(({ ttls }) => ttls))("expiries, with $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it("are told soon after their time, with the owner where it was seen", async () => {
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
      expect(told?.owner).toBe(record === seen ? writer.ownerOf("ada") : undefined);
    }
    await witness.stop();
  });

  it("are not told of markers: a session that was ended does not expire later", async () => {
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
