import { jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import type { SessionStoreOptions } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPatient } from "../support/patient.js";
import { type Connection, newBucket, type Variant, variants } from "../support/variants.js";

const NS = 1_000_000;
const DAY = 86_400_000;

for (const variant of variants()) {
  describe(`the bucket over ${variant.name}`, () => theBucket(variant));
}

function theBucket(variant: Variant): void {
  let nc: Connection;
  beforeAll(async () => {
    nc = await variant.connect();
  });
  afterAll(() => nc.close());

  const manager = () => jetstreamManager(nc as never);
  const configOf = async (bucket: string) => (await (await manager()).streams.info(`KV_${bucket}`)).config;

  /** Opens and closes a store; gives the bucket's configuration after that. */
  async function open(options: SessionStoreOptions & { bucket: string }): Promise<StreamConfig> {
    const store = await openPatient(nc, options);
    await store.close();
    return configOf(options.bucket);
  }

  /** A bucket that fits but for the changes. */
  async function make(changes: Partial<StreamConfig> = {}): Promise<string> {
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
        max_age: 30 * DAY * NS,
        discard: "new",
        storage: "file",
        num_replicas: 1,
        max_bytes: -1,
        republish: { src: `$KV.${bucket}.>`, dest: `session-changes.${bucket}.>`, headers_only: true },
      });
      const ttls = { allow_msg_ttl: true, subject_delete_marker_ttl: 600_000 * NS };
      if (variant.ttls) expect(config).toMatchObject(ttls);
      else for (const field of Object.keys(ttls)) expect(config).not.toHaveProperty(field);
    });

    it("is created with what the options say", async () => {
      const options = { maxTtl: 2 * DAY, storage: "memory", maxBytes: 1_000_000, replicas: 1 } as const;
      expect(await open({ bucket: newBucket(), ...options })).toMatchObject({
        max_age: 2 * DAY * NS,
        storage: "memory",
        max_bytes: 1_000_000,
        num_replicas: 1,
      });
    });

    it("may have the shortest and the longest `maxTtl`", async () => {
      expect((await open({ bucket: newBucket(), maxTtl: 1000 })).max_age).toBe(1000 * NS);
      expect((await open({ bucket: newBucket(), maxTtl: 100 * 365 * DAY })).max_age).toBe(36_500 * DAY * NS);
    });

    it("is created with compression where the server knows it, else the error says so", async () => {
      const opening = open({ bucket: newBucket(), compression: true });
      if (variant.ttls) expect((await opening).compression).toBe("s2");
      else
        await expect(opening).rejects.toMatchObject({
          code: expect.stringMatching(/^ERR_SESSION_/),
          message: /2\.10/,
        });
    });

    it("is an error that the server gives where it cannot be created so", async () => {
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

    it("is created once when many open it at the same time", async () => {
      const bucket = newBucket();
      const connections = await Promise.all(Array.from({ length: 4 }, () => variant.connect()));
      const opening = connections.flatMap((each) =>
        Array.from({ length: 5 }, () => openPatient(each, { bucket })),
      );
      const stores = await Promise.all(opening);
      await Promise.all(stores.map((store, n) => store.save(`${n}`, { n })));
      expect(await stores[0]?.count({ exact: true })).toBe(20);
      await Promise.all(stores.map((store) => store.close()));
      await Promise.all(connections.map((each) => each.close()));
    });

    it("is there for all who open it at the same time", async () => {
      const connections = await Promise.all(Array.from({ length: 6 }, () => variant.connect()));
      for (let round = 0; round < 20; round++) {
        const bucket = newBucket();
        const stores = await Promise.all(connections.map((own) => openPatient(own, { bucket })));
        await stores[0]?.save("id", { n: round });
        expect((await stores.at(-1)?.load("id"))?.data).toEqual({ n: round });
      }
      await Promise.all(connections.map((own) => own.close()));
    });

    it("is taken as the fastest has made it, where that fits", async () => {
      const bucket = newBucket();
      const lives = [60 * DAY, 50 * DAY, 40 * DAY];
      const results = await Promise.allSettled(lives.map((maxTtl) => open({ bucket, maxTtl })));
      const made = ((await configOf(bucket)).max_age as number) / NS;
      expect(results.map(({ status }) => status === "fulfilled")).toEqual(lives.map((life) => life <= made));
    });
  });

  describe("that is there", () => {
    it("is left as it is", async () => {
      const bucket = await make({ description: "mine", max_bytes: 5_000_000 });
      const before = await configOf(bucket);
      await works(bucket);
      expect(await configOf(bucket)).toEqual(before);
    });

    it("may have a longer TTL than `maxTtl`", async () => {
      const bucket = await make({ max_age: 60 * DAY * NS });
      await works(bucket);
      expect((await open({ bucket, updateBucket: true })).max_age).toBe(60 * DAY * NS);
    });

    it("may have been opened with other options where they make no difference to it", async () => {
      const bucket = newBucket();
      const before = await open({ bucket, maxTtl: DAY });
      expect(await open({ bucket, maxTtl: 60_000, ttl: 1000, prefix: "a", timeout: 5000 })).toEqual(before);
    });

    it("works with no change feed, which only later parts need", async () => {
      await works(await make());
    });

    it("with no TTL of its own fits where each session has one", async () => {
      const bucket = await make({ max_age: 0 });
      if (variant.ttls) await works(bucket);
      else {
        const code = "ERR_SESSION_BUCKET_MISMATCH";
        await expect(open({ bucket })).rejects.toMatchObject({
          code,
          message: expect.stringMatching(/max_age/),
        });
      }
    });
  });

  /** What does not fit, what the message says of it, and what `updateBucket` makes of it. */
  const mendable: [string, Partial<StreamConfig>, SessionStoreOptions, RegExp, Partial<StreamConfig>][] = [
    [
      "history 5",
      { max_msgs_per_subject: 5 },
      {},
      /max_msgs_per_subject is 5, expected 1/,
      { max_msgs_per_subject: 1 },
    ],
    [
      "a TTL shorter than maxTtl",
      { max_age: DAY * NS },
      {},
      /max_age is 86400000000000, expected 2592000000000000.*`maxTtl`/,
      { max_age: 30 * DAY * NS },
    ],
    [
      "no direct get",
      { allow_direct: false },
      {},
      /allow_direct is false, expected true/,
      { allow_direct: true },
    ],
    [
      "a limit that drops old sessions",
      { max_bytes: 1_000_000, discard: "old" as StreamConfig["discard"] },
      {},
      /discard is "old", expected "new"/,
      { discard: "new" as StreamConfig["discard"], max_bytes: 1_000_000 },
    ],
    [
      "another limit than asked for",
      {},
      { maxBytes: 2_000_000 },
      /max_bytes is -1, expected 2000000/,
      { max_bytes: 2_000_000 },
    ],
  ];
  if (variant.ttls) {
    mendable.push([
      "no TTL per message",
      { allow_msg_ttl: false, subject_delete_marker_ttl: 0 },
      {},
      /allow_msg_ttl is (false|not set), expected true/,
      { allow_msg_ttl: true, subject_delete_marker_ttl: 600_000 * NS },
    ]);
    mendable.push([
      "no markers",
      { subject_delete_marker_ttl: 0 },
      {},
      /subject_delete_marker_ttl is (0|not set), expected 600000000000/,
      { subject_delete_marker_ttl: 600_000 * NS },
    ]);
  }

  describe.each(mendable)("with %s", (_name, changes, options, message, mended) => {
    it("is refused, the error says what was found and how to mend it, and nothing is changed", async () => {
      const bucket = await make(changes);
      const before = await configOf(bucket);
      await expect(open({ ...options, bucket })).rejects.toMatchObject({
        code: "ERR_SESSION_BUCKET_MISMATCH",
        message: expect.stringMatching(new RegExp(`"${bucket}".*${message.source}.*\`updateBucket: true\``)),
      });
      expect(await configOf(bucket)).toEqual(before);
    });

    it("is mended with `updateBucket`, and nothing else is changed", async () => {
      const bucket = await make({ description: "mine", ...changes });
      const { republish: _, metadata: __, ...before } = await configOf(bucket);
      const after = await open({ ...options, bucket, updateBucket: true });
      expect(after).toMatchObject({ ...before, ...mended });
      await works(bucket);
    });
  });

  it("with several differences is refused with all of them", async () => {
    const bucket = await make({ max_msgs_per_subject: 3, allow_direct: false, max_age: DAY * NS });
    await expect(open({ bucket })).rejects.toThrow(
      /max_msgs_per_subject is 3.*allow_direct is false.*max_age is/,
    );
  });

  describe("with what cannot be changed in place", () => {
    it.each<[string, Partial<StreamConfig>, SessionStoreOptions, RegExp]>([
      ["the other storage", {}, { storage: "memory" }, /storage is "file", expected "memory"/],
      [
        "a retention that drops what is read",
        { retention: "interest" as never },
        {},
        /retention is "interest"/,
      ],
    ])(
      "%s: refused, also with `updateBucket`, and nothing is changed",
      async (_name, changes, options, message) => {
        const bucket = await make({ max_msgs_per_subject: 2, ...changes });
        const before = await configOf(bucket);
        for (const updateBucket of [false, true]) {
          const opening = open({ ...options, bucket, updateBucket });
          await expect(opening).rejects.toMatchObject({ code: "ERR_SESSION_BUCKET_MISMATCH" });
          await expect(opening).rejects.toThrow(message);
          await expect(opening).rejects.toThrow(/another bucket/);
          await expect(opening).rejects.not.toThrow(/updateBucket: true/);
        }
        expect(await configOf(bucket)).toEqual(before);
      },
    );

    it("replicas that were asked for are a difference, too", async () => {
      const bucket = await make();
      await expect(open({ bucket, replicas: 3 })).rejects.toThrow(
        /num_replicas is 1, expected 3.*`replicas`/,
      );
    });

    it("a stream of this name that is no bucket", async () => {
      const bucket = await make({ subjects: [newBucket()] });
      await expect(open({ bucket, updateBucket: true })).rejects.toMatchObject({
        code: "ERR_SESSION_BUCKET_MISMATCH",
        message: expect.stringMatching(/subjects is .*expected \["\$KV\./),
      });
    });
  });

  describe("`updateBucket`", () => {
    it("adds the change feed where the server can, and only that", async () => {
      const bucket = await make({ description: "mine" });
      const { republish: _, metadata: __, ...before } = await configOf(bucket);
      const after = await open({ bucket, updateBucket: true });
      expect(after).toMatchObject(before);
      if (variant.ttls)
        expect(after.republish).toMatchObject({ dest: `session-changes.${bucket}.>`, headers_only: true });
    });

    it("leaves a change feed that is there", async () => {
      const dest = `own.${newBucket()}.>`;
      const bucket = await make({ republish: { src: ">", dest, headers_only: true } });
      expect((await open({ bucket, updateBucket: true })).republish).toMatchObject({ dest });
    });

    it("changes nothing the second time", async () => {
      const bucket = await make({ max_msgs_per_subject: 4 });
      const first = await open({ bucket, updateBucket: true });
      expect(await open({ bucket, updateBucket: true })).toEqual(first);
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
      "opens a bucket of the official client made with %j",
      async (kvOptions) => {
        const bucket = newBucket();
        await new Kvm(nc as never).create(bucket, kvOptions);
        await open({ bucket, updateBucket: true });
        await works(bucket);
      },
    );

    it("opens a bucket of the official client for short lives, too", async () => {
      const bucket = newBucket();
      await new Kvm(nc as never).create(bucket);
      await open({ bucket, updateBucket: true, maxTtl: 60_000 });
    });
  });
}
