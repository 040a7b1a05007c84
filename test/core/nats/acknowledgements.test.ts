import type { SessionStore } from "nats-session-store";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openPatient } from "../../support/patient.js";
import { type Connection, newBucket, type Variant, variants } from "../../support/variants.js";

interface Message {
  readonly subject: string;
  readonly data: Uint8Array;
}

type Callback = (error: Error | null, message: Message) => void;

const isAcknowledgement = ({ data }: Message) =>
  /^\{"stream":"[^"]+", ?"seq":\d+\}$/.test(Buffer.from(data).toString());

/** A connection that gives other acknowledgements of writes than the server does. */
function lying(nc: Connection, lie: (revision: number) => string | undefined): Connection {
  const subscribe = (subject: string, { callback, ...options }: { callback: Callback }) =>
    nc.subscribe(subject, {
      ...options,
      callback: (error: Error | null, message: Message) => {
        const answer =
          message && isAcknowledgement(message)
            ? lie((JSON.parse(Buffer.from(message.data).toString()) as { seq: number }).seq)
            : undefined;
        const { subject } = message;
        callback(error, answer === undefined ? message : { subject, data: Buffer.from(answer) });
      },
    });
  return new Proxy(nc, {
    get(target, name) {
      if (name === "subscribe") return subscribe;
      const value = Reflect.get(target, name) as unknown;
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

const ack = (seq: unknown) => JSON.stringify({ stream: "KV_x", seq });

/** By what the server has really given. */
const lies: Record<string, (revision: number) => string> = {
  "no number of a revision": () => '{"stream":"KV_x","seq":1e300}',
  "a number that is not safe": () => ack(2 ** 53),
  "a negative number": () => ack(-1),
  zero: () => ack(0),
  "a fraction": (revision) => ack(revision + 0.5),
  "a text": (revision) => ack(String(revision)),
  null: () => ack(null),
  nothing: () => '{"stream":"KV_x"}',
  "no object": () => "[]",
  "no JSON": () => "+OK",
  "no text": () => "",
};

describe.each(variants())("a write that is acknowledged over $name", (variant: Variant) => {
  let nc: Connection;
  let bucket: string;
  let honest: SessionStore;
  let store: SessionStore;
  let lie: ((revision: number) => string) | undefined;

  beforeEach(async () => {
    lie = undefined;
    nc = await variant.connect();
    bucket = newBucket();
    honest = await openPatient(nc, { bucket });
    store = await openPatient(lying(nc, (revision) => lie?.(revision)) as never, { bucket, touchAfter: 0 });
  });
  afterEach(async () => {
    await Promise.all([store.close(), honest.close()]);
    await nc.close();
  });

  const REFUSED = { name: "SessionStoreError", code: "ERR_SESSION_SERVER" };

  it.each(Object.keys(lies))("with %s is not believed, and misleads no later operation", async (name) => {
    const { record } = await store.save("id", { n: 1 });
    lie = lies[name] as (revision: number) => string;
    await expect(store.save("new", { n: 1 })).rejects.toMatchObject(REFUSED);
    await expect(store.save("id", { n: 2 }, { record: record as never })).rejects.toMatchObject(REFUSED);
    await expect(store.destroy("id")).rejects.toMatchObject(REFUSED);
    lie = undefined;
    expect(await store.load("id")).toBeNull();
    expect((await store.load("new"))?.data).toEqual({ n: 1 });
    expect((await store.save("new", { n: 3 }, { record: (await store.load("new")) as never })).outcome).toBe(
      "saved",
    );
    expect((await honest.load("new"))?.data).toEqual({ n: 3 });
  });

  it.each([
    ["the revision that it built on", 0],
    ["an earlier revision", 1],
  ])("with %s is not believed", async (_name, less) => {
    await honest.save("other", {});
    const { record } = await store.save("id", { n: 1 });
    const built = record?.revision ?? 0;
    lie = () => ack(built - less);
    await expect(store.save("id", { n: 2 }, { record: record as never })).rejects.toMatchObject(REFUSED);
    const loaded = await store.load("id");
    expect(loaded?.revision).toBeGreaterThan(built);
    lie = () => ack((loaded?.revision ?? 0) - less);
    await expect(store.touch("id", loaded as never, { ttl: 200_000_000 })).rejects.toMatchObject(REFUSED);
    lie = undefined;
    expect((await store.load("id"))?.data).toEqual({ n: 2 });
  });
});
