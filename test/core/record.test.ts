import { readFile } from "node:fs/promises";
import { jetstream, jetstreamManager } from "@nats-io/jetstream";
import { headers } from "@nats-io/nats-core";
import fc from "fast-check";
import type { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { decodeMetadata, encodeMetadata, type WriteKind } from "../../packages/core/src/record.js";
import { openPatient } from "../support/patient.js";
import { type Connection, newBucket, type Variant, variants } from "../support/variants.js";

const runs = { numRuns: 500 };
const time = fc.integer({ min: 0, max: 9_000_000_000_000_000 });
const kind = fc.constantFrom<WriteKind>("create", "update", "touch", "destroy");

const reader =
  (entries: Iterable<readonly [string, string]>) =>
  (name: string): string =>
    new Map(entries).get(name) ?? "";
const good = {
  "Session-Format": "1",
  "Session-Created": "1700000000000",
  "Session-Expires": "1700000060000",
  "Session-Write": "create",
};

describe("metadata in headers", () => {
  it("are read as they were written", () => {
    fc.assert(
      fc.property(time, time, kind, (createdAt, expiresAt, write) => {
        const metadata = { createdAt, expiresAt, write };
        expect(decodeMetadata(reader(encodeMetadata(metadata)))).toMatchObject(metadata);
      }),
      runs,
    );
  });

  it("are taken from these headers", () => {
    expect(decodeMetadata(reader(Object.entries(good)))).toMatchObject({
      createdAt: 1_700_000_000_000,
      expiresAt: 1_700_000_060_000,
      write: "create",
    });
  });

  it("beside headers that are not known are read all the same", () => {
    expect(decodeMetadata(reader(Object.entries({ ...good, "Session-Later": "x" })))).toMatchObject({
      write: "create",
    });
  });

  it.each([
    ["Session-Format", ""],
    ["Session-Format", "2"],
    ["Session-Format", "01"],
    ["Session-Created", ""],
    ["Session-Created", "-1"],
    ["Session-Created", "1.5"],
    ["Session-Created", "1e12"],
    ["Session-Expires", "soon"],
    ["Session-Expires", "0x10"],
    ["Session-Expires", " 1"],
    ["Session-Expires", "9".repeat(17)],
    ["Session-Write", ""],
    ["Session-Write", "Create"],
    ["Session-Write", "toString"],
  ])("with %s: %j cannot be read, and the error names the header", (name, value) => {
    expect(() => decodeMetadata(reader(Object.entries({ ...good, [name]: value })))).toThrow(
      expect.objectContaining({
        code: "ERR_SESSION_CORRUPT",
        message: expect.stringMatching(name === "Session-Format" ? /format/i : new RegExp(name)),
      }),
    );
  });

  it("are read or refused with the code, whatever stands there", () => {
    const anything = fc.record({
      "Session-Format": fc.oneof(fc.constant("1"), fc.string()),
      "Session-Created": fc.oneof(fc.constant("1"), fc.string()),
      "Session-Expires": fc.oneof(fc.constant("2"), fc.string()),
      "Session-Write": fc.oneof(kind, fc.string()),
    });
    fc.assert(
      fc.property(anything, (list) => {
        try {
          const { createdAt, expiresAt } = decodeMetadata(reader(Object.entries(list)));
          expect(Number.isSafeInteger(createdAt) && Number.isSafeInteger(expiresAt)).toBe(true);
        } catch (error) {
          expect(error).toMatchObject({ code: "ERR_SESSION_CORRUPT" });
        }
      }),
      runs,
    );
  });
});

interface Golden {
  id: string;
  key: string;
  headers: Record<string, string>;
  value: string;
}

for (const variant of variants()) {
  describe(`storage format 1 over ${variant.name}`, () => storageFormat(variant));
}

/** A promise to everybody who has sessions stored: these tests may be added to and never changed. */
function storageFormat(variant: Variant): void {
  let nc: Connection;
  let store: SessionStore;
  let golden: Record<"session" | "marker", Golden>;
  const bucket = newBucket();

  beforeAll(async () => {
    golden = JSON.parse(await readFile(new URL("golden-format-1.json", import.meta.url), "utf8"));
    nc = await variant.connect();
    store = await openPatient(nc, { bucket, maxTtl: 36_500 * 86_400_000 });
    for (const { key, headers: list, value } of Object.values(golden)) {
      const options = { headers: headers() };
      for (const [name, text] of Object.entries(list)) options.headers.set(name, text);
      await jetstream(nc as never).publish(`$KV.${bucket}.${key}`, value, options);
    }
  });
  afterAll(async () => {
    await store.close();
    await nc.close();
  });

  it("a stored session is read", async () => {
    const { id, key, headers, value } = golden.session;
    const record = await store.load(id);
    expect(record?.data).toEqual(JSON.parse(value));
    expect(record).toMatchObject({
      handle: key.slice("s.".length),
      createdAt: Number(headers["Session-Created"]),
      expiresAt: Number(headers["Session-Expires"]),
    });
  });

  it("a marker is no session, and a save does not bring the session back", async () => {
    expect(await store.load(golden.marker.id)).toBeNull();
    expect(await store.count({ exact: true })).toBe(1);
  });

  it("a stored session can be written on and destroyed", async () => {
    const { id } = golden.session;
    const record = (await store.load(id)) ?? undefined;
    const saved = await store.save(id, { ...record?.data, visits: 8 }, { record });
    expect(saved).toMatchObject({ outcome: "saved", record: { createdAt: record?.createdAt } });
    expect((await store.load(id))?.data).toMatchObject({ user: "ada", visits: 8 });
    expect(await store.destroy(id)).toBe(true);
  });

  /** Headers and value as the server has them. */
  async function stored(id: string) {
    const jsm = await jetstreamManager(nc as never);
    const query = { last_by_subj: `$KV.${bucket}.s.${store.handleOf(id)}` };
    const message = await jsm.streams.getMessage(`KV_${bucket}`, query);
    if (!message) throw new Error("nothing is stored");
    const list = Object.fromEntries(message.header.keys().map((name) => [name, message.header.get(name)]));
    return { headers: list, value: Buffer.from(message.data).toString(), revision: message.seq };
  }

  const ttl = (seconds: unknown) => (variant.ttls ? { "Nats-TTL": seconds } : {});

  it("what is written has exactly these headers, and the data alone as value", async () => {
    const data = { user: "grace", cart: [1, { a: null }] };
    const { record } = await store.save("written", data, { ttl: 59_400 });
    const { headers, value, revision } = await stored("written");
    expect(value).toBe(JSON.stringify(data));
    expect(revision).toBe(record?.revision);
    expect(headers).toEqual({
      "Session-Format": "1",
      "Session-Created": String(record?.createdAt),
      "Session-Expires": String(record?.expiresAt),
      "Session-Write": "create",
      "Nats-Expected-Last-Subject-Sequence": "0",
      ...ttl("60s"),
    });
  });

  it("a later write tells what it was, and on which revision it stands", async () => {
    const first = (await store.save("later", { n: 1 }, { ttl: 60_000 })).record ?? undefined;
    const second = (await store.save("later", { n: 2 }, { record: first, ttl: 60_000 })).record ?? undefined;
    expect((await stored("later")).headers).toMatchObject({
      "Session-Write": "update",
      "Nats-Expected-Last-Subject-Sequence": String(first?.revision),
      ...ttl("60s"),
    });
    const { record } = await store.touch("later", second as never, { ttl: 120_000 });
    expect(await stored("later")).toMatchObject({
      value: '{"n":2}',
      headers: {
        "Session-Write": "touch",
        "Session-Created": String(first?.createdAt),
        "Session-Expires": String(record?.expiresAt),
        "Nats-Expected-Last-Subject-Sequence": String(second?.revision),
        ...ttl("120s"),
      },
    });
  });

  it("a marker is empty, tells of the session's end and outlives it", async () => {
    const { record } = await store.save("ended", { secret: 1 }, { ttl: 60_000 });
    await store.destroy("ended");
    const { headers, value } = await stored("ended");
    expect(value).toBe("");
    expect(headers).toEqual({
      "KV-Operation": "DEL",
      "Nats-Marker-Reason": "Remove",
      "Session-Format": "1",
      "Session-Created": String(record?.createdAt),
      "Session-Expires": String(record?.expiresAt),
      "Session-Write": "destroy",
      "Nats-Expected-Last-Subject-Sequence": String(record?.revision),
      ...ttl(expect.stringMatching(/^1\d\ds$/)),
    });
  });

  it("the id is nowhere in the bucket", async () => {
    await store.save("a-secret-id-of-a-session", { n: 1 });
    expect(JSON.stringify(await stored("a-secret-id-of-a-session"))).not.toContain("a-secret-id");
  });
}
