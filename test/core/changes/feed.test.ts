import { Kvm } from "@nats-io/kv";
import type { SessionRecord, SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { openPatient } from "../../support/patient.js";
import { type Data, Stores } from "../../support/stores.js";
import { newBucket, type Variant, variants } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";

const saved = async (store: SessionStore<Data>, id: string, data: Data = { user: "ada" }) => {
  const { record } = await store.save(id, data);
  if (!record) throw new Error("not saved");
  return record;
};

describe.each(variants())("the feed of changes over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it("gives what is written after the call of changes(), also where `ready` is not awaited", async () => {
    const [writer] = await stores.openTwo();
    const changes = writer.changes();
    const record = await saved(writer, "one");
    expect((await changes.next()).value).toMatchObject({ type: "created", handle: record.handle });
    await changes.return();
  });

  it("gives changes of sessions with the store's own prefix only", async () => {
    const bucket = newBucket();
    const reader = await stores.open({ bucket });
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

  it("gives the changes to several readers, which may each stop and start", async () => {
    const [writer, reader] = await stores.openTwo({ touchAfter: 0 });
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

  it("gives the changes in order and each once, however many processes write", async () => {
    const bucket = newBucket();
    const [writer, reader] = await stores.openTwo({ bucket, touchAfter: 0 });
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

  it("keeps changes for a slow reader in a bounded buffer, and tells it that it missed some", async () => {
    const [writer, reader] = await stores.openTwo({ touchAfter: 0 });
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

  it("ends for waiting callers when the reader returns or breaks, or when the store is closed", async () => {
    const [writer, reader] = await stores.openTwo({ touchAfter: 0 });
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

  it("can be left before it has begun", async () => {
    const [writer, reader] = await stores.openTwo({ touchAfter: 0 });
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

  it("rejects once for waiting callers, then ends, when the connection is closed", async () => {
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

  it.each([0, -1, 1.5, "5", Number.NaN, null])("refuses a buffer of %j", async (buffer) => {
    const [, reader] = await stores.openTwo();
    expect(() => reader.changes({ buffer: buffer as never })).toThrow(/`buffer`/);
  });
});
