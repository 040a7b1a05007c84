import { once } from "node:events";
import { jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import type { SessionStoreOptions } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPatient } from "../../support/patient.js";
import { type Connection, newBucket, type Variant, variants } from "../../support/variants.js";

const NS = 1_000_000;
const DAY = 86_400_000;
const MISMATCH = "ERR_SESSION_BUCKET_MISMATCH";

type Config = Partial<StreamConfig>;
type Options = SessionStoreOptions & { bucket: string };

describe.each(variants())("the bucket over $name", (variant: Variant) => {
  let nc: Connection;
  beforeAll(async () => {
    nc = await variant.connect();
  });
  afterAll(() => nc.close());

  const manager = () => jetstreamManager(nc as never);
  const configOf = async (bucket: string) => (await (await manager()).streams.info(`KV_${bucket}`)).config;

  /** Opens and closes a store; gives the bucket's configuration after that. */
  async function open(options: Options): Promise<StreamConfig> {
    await (await openPatient(nc, options)).close();
    return configOf(options.bucket);
  }

  /** A bucket that fits but for the changes. */
  async function make(changes: Config = {}): Promise<string> {
    const bucket = newBucket();
    await (await manager()).streams.add({
      name: `KV_${bucket}`,
      subjects: [`$KV.${bucket}.>`],
      max_msgs_per_subject: 1,
      max_age: 30 * DAY * NS,
      allow_direct: true,
      discard: "new",
      allow_rollup_hdrs: true,
      ...(variant.ttls ? { allow_msg_ttl: true, subject_delete_marker_ttl: 600_000 * NS } : {}),
      ...changes,
    } as StreamConfig & { name: string });
    return bucket;
  }

  /** The bucket's TTL in ns for a longest ttl in ms: index entries, which have TTLs of their own, outlive sessions. */
  const ageFor = (maxTtl: number) => (variant.ttls ? 2 * maxTtl + DAY : maxTtl) * NS;

  const works = async (bucket: string) => {
    const store = await openPatient(nc, { bucket });
    await store.save("id", { n: 1 });
    expect((await store.load("id"))?.data).toEqual({ n: 1 });
    await store.close();
  };

  describe("that is missing", () => {
    it("is created", async () => {
      const bucket = newBucket();
      const config = await open({ bucket });
      expect(config).toMatchObject({
        name: `KV_${bucket}`,
        subjects: [`$KV.${bucket}.>`],
        retention: "limits",
        max_msgs_per_subject: 1,
        allow_direct: true,
        max_age: ageFor(variant.ttls ? 400 * DAY : 30 * DAY),
        discard: "new",
        storage: "file",
        num_replicas: 1,
        max_bytes: -1,
        deny_delete: true,
        // Where it writes tombstones of its own, the server allows roll-ups, and purges with them.
        deny_purge: !variant.ttls,
        allow_rollup_hdrs: variant.ttls,
        republish: { src: `$KV.${bucket}.>`, dest: `session-changes.${bucket}.>`, headers_only: true },
      });
      const ttls = { allow_msg_ttl: true, subject_delete_marker_ttl: 600_000 * NS };
      if (variant.ttls) expect(config).toMatchObject(ttls);
      else for (const field of Object.keys(ttls)) expect(config[field as never] ?? false).toBe(false);
    });

    it.each<[SessionStoreOptions, Config]>([
      [{ storage: "memory" }, { storage: "memory" as never }],
      [{ maxBytes: 1_000_000 }, { max_bytes: 1_000_000 }],
      [{ replicas: 1 }, { num_replicas: 1 }],
      [{ compression: true }, { compression: "s2" as never }],
      [{ maxTtl: 1000 }, { max_age: ageFor(1000) }],
      [{ maxTtl: 36_500 * DAY }, { max_age: ageFor(36_500 * DAY) }],
    ])("is created with %j", async (options, config) => {
      expect(await open({ ...options, bucket: newBucket() })).toMatchObject(config);
    });

    it("is created without a change feed with `republish: false`", async () => {
      expect(await open({ bucket: newBucket(), republish: false })).not.toHaveProperty("republish");
    });

    it("is the server's error where it cannot be created so", async () => {
      await expect(open({ bucket: newBucket(), replicas: 3 })).rejects.toMatchObject({
        code: "ERR_SESSION_SERVER",
        message: expect.stringContaining("replicas"),
        cause: expect.any(Error),
      });
    });

    it("is an error with `createBucket: false`, and is not created", async () => {
      const bucket = newBucket();
      await expect(open({ bucket, createBucket: false, updateBucket: true })).rejects.toMatchObject({
        code: "ERR_SESSION_BUCKET_MISSING",
        message: expect.stringMatching(new RegExp(`${bucket}.*createBucket`)),
      });
      await expect(configOf(bucket)).rejects.toThrow("stream not found");
    });

    it("is created once and found by all stores that open it at the same time", async () => {
      const connections = await Promise.all(Array.from({ length: 5 }, () => variant.connect()));
      for (let round = 0; round < 20; round++) {
        const bucket = newBucket();
        const stores = await Promise.all(connections.map((own) => openPatient(own, { bucket })));
        await Promise.all(stores.map((store, n) => store.save(`${n}`, { n })));
        expect(await stores[0]?.count({ exact: true })).toBe(5);
        await Promise.all(stores.map((store) => store.close()));
      }
      await Promise.all(connections.map((own) => own.close()));
    });

    it("is taken as the fastest store has made it, where that fits the others", async () => {
      const bucket = newBucket();
      const ttls = [60 * DAY, 50 * DAY, 40 * DAY];
      const results = await Promise.allSettled(ttls.map((maxTtl) => open({ bucket, maxTtl })));
      const made = (await configOf(bucket)).max_age as number;
      expect(results.map(({ status }) => status === "fulfilled")).toEqual(
        ttls.map((ttl) => ttl * NS <= made),
      );
    });
  });

  describe("that is there", () => {
    it.each<[string, Config, SessionStoreOptions]>([
      ["with a description and a limit of its own", { description: "mine", max_bytes: 5_000_000 }, {}],
      ["with a longer TTL than `maxTtl`", { max_age: 60 * DAY * NS }, {}],
      ["that other options would have made otherwise", {}, { maxTtl: 60_000, ttl: 1000, prefix: "a" }],
      ["without a change feed", { republish: undefined as never }, {}],
    ])("is left as it is: one %s", async (_what, config, options) => {
      const bucket = await make(config);
      const before = await configOf(bucket);
      expect(await open({ ...options, bucket })).toEqual(before);
      await works(bucket);
    });

    it("needs no TTL of its own where each session has one", async () => {
      const bucket = await make({ max_age: 0 });
      if (variant.ttls) return works(bucket);
      const message = expect.stringMatching(/max_age/);
      return expect(open({ bucket })).rejects.toMatchObject({ code: MISMATCH, message });
    });
  });

  /** What does not fit, what the message says of it, and what `updateBucket` makes of it. */
  const mendable: [string, Config, RegExp, Config, SessionStoreOptions?][] = [
    ["history 5", { max_msgs_per_subject: 5 }, /_per_subject is 5, expected 1/, { max_msgs_per_subject: 1 }],
    [
      "a TTL shorter than `maxTtl`",
      { max_age: DAY * NS },
      new RegExp(`max_age is 86400000000000, expected ${ageFor(30 * DAY)}.*\`maxTtl\``),
      { max_age: ageFor(30 * DAY) },
      { maxTtl: 30 * DAY },
    ],
    ["no direct get", { allow_direct: false }, /_direct is false, expected true/, { allow_direct: true }],
    [
      "a limit that drops old sessions",
      { max_bytes: 1_000_000, discard: "old" as never },
      /discard is "old", expected "new"/,
      { discard: "new" as never, max_bytes: 1_000_000 },
    ],
    [
      "another limit than asked for",
      {},
      /max_bytes is -1, expected 2000000/,
      { max_bytes: 2_000_000 },
      { maxBytes: 2_000_000 },
    ],
  ];
  it.each<[string, Config]>([
    ["a TTL per message", { allow_msg_ttl: false, subject_delete_marker_ttl: 0 }],
    ["tombstones of expired sessions", { subject_delete_marker_ttl: 0 }],
  ])(
    "of an older server without %s works with a warning, and gets them with `updateBucket`",
    async (_name, config) => {
      const bucket = await make(config);
      if (!variant.ttls) return works(bucket);
      const before = await configOf(bucket);
      const warned = once(process, "warning");
      expect(await open({ bucket })).toEqual(before);
      expect((await warned)[0]).toMatchObject({
        code: "NATS_SESSION_OLD_BUCKET",
        message: expect.stringMatching(
          new RegExp(`"${bucket}".*${Object.keys(config)[0]}.*\`updateBucket: true\``),
        ),
      });
      await works(bucket);
      expect(await open({ bucket, updateBucket: true })).toMatchObject({
        allow_msg_ttl: true,
        subject_delete_marker_ttl: 600_000 * NS,
      });
      return works(bucket);
    },
  );

  describe.each(mendable)("with %s", (_name, changes, message, mended, options = {}) => {
    it("is refused with what was found and what fixes it, and is not changed", async () => {
      const bucket = await make(changes);
      const before = await configOf(bucket);
      await expect(open({ ...options, bucket })).rejects.toMatchObject({
        code: MISMATCH,
        message: expect.stringMatching(new RegExp(`"${bucket}".*${message.source}.*\`updateBucket: true\``)),
      });
      expect(await configOf(bucket)).toEqual(before);
    });

    it("is fixed with `updateBucket`, once, and nothing else is changed", async () => {
      const bucket = await make({ description: "mine", ...changes });
      const { republish: _, metadata: __, ...before } = await configOf(bucket);
      const after = await open({ ...options, bucket, updateBucket: true });
      expect(after).toMatchObject({ ...before, ...mended });
      expect(await open({ ...options, bucket, updateBucket: true })).toEqual(after);
      await works(bucket);
    });
  });

  it("with several differences is refused with all of them", async () => {
    const bucket = await make({ max_msgs_per_subject: 3, allow_direct: false, max_age: DAY * NS });
    const opening = open({ bucket, maxTtl: 30 * DAY });
    await expect(opening).rejects.toThrow(/_subject is 3.*allow_direct is false.*max_age is/);
  });

  it.each<[string, Config, SessionStoreOptions, RegExp]>([
    ["the other storage", {}, { storage: "memory" }, /storage is "file", expected "memory"/],
    ["a retention that drops what is read", { retention: "interest" as never }, {}, /is "interest"/],
    ["other subjects", { subjects: [newBucket()] }, {}, /subjects is .*expected \["\$KV\./],
  ])(
    "with %s is refused, also with `updateBucket`, and is not changed",
    async (_name, changes, options, text) => {
      const bucket = await make({
        max_msgs_per_subject: 2,
        ...changes,
        ...(changes.subjects ? { subjects: [newBucket()] } : {}),
      });
      const before = await configOf(bucket);
      for (const updateBucket of [false, true]) {
        const opening = open({ ...options, bucket, updateBucket });
        await expect(opening).rejects.toMatchObject({ code: MISMATCH });
        await expect(opening).rejects.toThrow(text);
        await expect(opening).rejects.not.toThrow(/updateBucket: true/);
      }
      expect(await configOf(bucket)).toEqual(before);
    },
  );

  it("with fewer replicas than asked for is refused", async () => {
    const bucket = await make();
    await expect(open({ bucket, replicas: 3 })).rejects.toThrow(/num_replicas is 1, expected 3.*`replicas`/);
  });

  it("is given no more replicas where there is no cluster: its server could not open it when it starts again", async () => {
    const bucket = await make();
    const opening = open({ bucket, replicas: 3, updateBucket: true });
    await expect(opening).rejects.toMatchObject({
      code: MISMATCH,
      message: expect.stringMatching(/num_replicas is 1, expected 3 .*needs a cluster.* use another bucket/),
    });
    expect((await configOf(bucket)).num_replicas).toBe(1);
    await works(bucket);
  });

  describe("with `updateBucket`", () => {
    it("gets the change feed and nothing else, or keeps the one it has", async () => {
      const bucket = await make({ description: "mine" });
      const { republish: _, metadata: __, ...before } = await configOf(bucket);
      const after = await open({ bucket, updateBucket: true });
      const feed = { republish: { dest: `session-changes.${bucket}.>`, headers_only: true } };
      expect(after).toMatchObject({ ...before, ...feed });

      const dest = `own.${newBucket()}.>`;
      const other = await make({ republish: { src: ">", dest, headers_only: true } });
      expect((await open({ bucket: other, updateBucket: true })).republish).toMatchObject({ dest });
    });

    it("keeps the sessions that are stored", async () => {
      const bucket = newBucket();
      const store = await openPatient(nc, { bucket, maxTtl: DAY });
      await store.save("id", { n: 1 });
      await open({ bucket, maxTtl: 2 * DAY, updateBucket: true });
      expect((await store.load("id"))?.data).toEqual({ n: 1 });
      await store.close();
    });

    it.each([{}, { history: 5 }, { ttl: DAY }, { maxBytes: 1_000_000 }])(
      "opens a bucket that the official client made with %j",
      async (kvOptions) => {
        const bucket = newBucket();
        await new Kvm(nc as never).create(bucket, kvOptions);
        await open({ bucket, updateBucket: true });
        await works(bucket);
        await open({ bucket, updateBucket: true, maxTtl: 60_000 });
      },
    );
  });
});
