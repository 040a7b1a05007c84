import { jetstreamManager } from "@nats-io/jetstream";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { openSessionStore, type SessionStore, type SessionStoreOptions } from "nats-session-store";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { openPatient } from "../support/patient.js";
import { type Connection, clients, newBucket } from "../support/variants.js";
import { stopwatch, until } from "../support/wait.js";

/** How much later than its `timeout` an operation may reject, in ms of a stopwatch. */
const LITTLE = 500;
const UNAVAILABLE = { name: "SessionStoreError", code: "ERR_SESSION_UNAVAILABLE" };

for (const [client, connect] of Object.entries(clients)) {
  describe(`with ${client}`, () => trouble(connect));
}

function trouble(connect: (typeof clients)[string]): void {
  const connections: Connection[] = [];
  const stores: SessionStore[] = [];

  async function connection(server: NatsServer, options: object = {}): Promise<Connection> {
    const nc = await connect({ servers: server.url, ...options });
    connections.push(nc);
    return nc;
  }

  async function open(nc: Connection, options?: SessionStoreOptions): Promise<SessionStore> {
    const store = await openPatient(nc, options);
    stores.push(store);
    return store;
  }

  /** Opens a store of little patience, however long that takes. */
  async function openHasty(nc: Connection, timeout: number): Promise<SessionStore> {
    await open(nc);
    return answered(() => open(nc, { timeout }));
  }

  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
    await Promise.all(connections.splice(0).map((nc) => nc.close()));
  });

  describe("at open", () => {
    it("JetStream off is an error of its own", async () => {
      await using server = await startNatsServer({ jetstream: false });
      await expect(open(await connection(server))).rejects.toMatchObject({
        code: "ERR_SESSION_JETSTREAM_OFF",
        message: expect.stringMatching(/JetStream/),
        cause: expect.any(Error),
      });
    });

    it("JetStream off for the account is the same error", async () => {
      const config =
        "accounts { ON { jetstream: enabled, users: [{user: with, password: p}] }, OFF { users: [{user: without, password: p}] } }";
      await using server = await startNatsServer({ config });
      const nc = await connection(server, { user: "without", pass: "p" });
      const opening = open(nc, { timeout: 2000 });
      await expect(opening).rejects.toMatchObject({ code: "ERR_SESSION_JETSTREAM_OFF" });
      // What the server has said is not forgotten because a later answer is late.
      const { inMsgs } = nc.stats();
      const again = expect(open(nc, { timeout: 4000 })).rejects.toMatchObject({
        code: "ERR_SESSION_JETSTREAM_OFF",
      });
      await until("the first answer", () => nc.stats().inMsgs > inMsgs);
      await server.pause();
      await again;
    });

    it("a server that is down is an outage within the timeout, and a later opening works", async () => {
      await using server = await startNatsServer();
      const nc = await connection(server);
      await server.kill();
      await inTime(400, expect(open(nc, { timeout: 400 })).rejects.toMatchObject(UNAVAILABLE));
      await server.restart();
      await answered(() => open(nc, { timeout: 2000 }));
    });

    it("a server that stands still is an outage within the timeout", async () => {
      await using server = await startNatsServer();
      const nc = await connection(server);
      await server.pause();
      await inTime(400, expect(open(nc, { timeout: 400 })).rejects.toMatchObject(UNAVAILABLE));
      await server.resume();
      await open(nc);
    });

    it("a connection that was closed is an outage", async () => {
      await using server = await startNatsServer();
      const nc = await connection(server);
      await nc.close();
      await expect(open(nc)).rejects.toMatchObject(UNAVAILABLE);
    });

    it("a connection on its way that is refused is an outage with the cause", async () => {
      const refused = connect({ servers: "127.0.0.1:1", ...{ reconnect: false } });
      await expect(openSessionStore(refused)).rejects.toMatchObject({
        ...UNAVAILABLE,
        cause: expect.any(Error),
      });
    });

    it("a connection on its way that never comes is an outage within the timeout", async () => {
      // However late the timers are, the earlier one comes first.
      const opening = openSessionStore(new Promise<Connection>(() => {}), { timeout: 300 });
      const late = new Promise((_resolve, reject) => {
        setTimeout(() => reject(new Error("still opening")), 300 + LITTLE).unref();
      });
      await expect(Promise.race([opening, late])).rejects.toMatchObject(UNAVAILABLE);
    });
  });

  describe("while it runs", () => {
    let server: NatsServer;
    beforeEach(async () => {
      server = await startNatsServer();
    });
    afterEach(() => server.stop());

    /** Every operation, on a session that was stored before. */
    async function operations(store: SessionStore): Promise<Record<string, () => Promise<unknown>>> {
      const { record } = await answered(() => store.save("there", { n: 1 }));
      if (!record) throw new Error("not saved");
      return {
        load: () => store.load("there"),
        "load of nobody": () => store.load("nobody"),
        save: () => store.save("there", { n: 2 }, { record }),
        "save of a new one": () => store.save("new", {}),
        touch: () => store.touch("there", record, { ttl: 2 * 86_400_000 }),
        destroy: () => store.destroy("there"),
        count: () => store.count(),
        "exact count": () => store.count({ exact: true }),
        ids: () => store.ids().next(),
        clear: () => store.clear(),
      };
    }

    it("a server that stands still makes every operation an outage in time, and then all is as before", async () => {
      const store = await openHasty(await connection(server), 400);
      const each = await operations(store);
      await server.pause();
      await inTime(
        400,
        Promise.all(
          Object.entries(each).map(([name, run]) => expect(run(), name).rejects.toMatchObject(UNAVAILABLE)),
        ),
      );
      await server.resume();
      expect(await answered(() => store.load("nobody"))).toBeNull();
      expect((await answered(() => store.save("after", { n: 1 }))).outcome).toBe("saved");
      expect((await answered(() => store.load("after")))?.data).toEqual({ n: 1 });
      await answered(() => store.destroy("after"));
      expect(await answered(() => store.load("after"))).toBeNull();
    });

    it("a server that is down makes every operation an outage in time, and then all is as before", async () => {
      const store = await openHasty(await connection(server), 400);
      const each = await operations(store);
      await server.kill();
      await inTime(
        400,
        Promise.all(
          Object.entries(each).map(([name, run]) => expect(run(), name).rejects.toMatchObject(UNAVAILABLE)),
        ),
      );
      await server.restart();
      expect((await answered(() => store.load("there")))?.data).toEqual({ n: 1 });
    });

    it("an outage shorter than the timeout is not seen by loads, saves, touches and destroys", async () => {
      const store = await open(await connection(server), { timeout: 60_000, touchAfter: 0 });
      await store.save("there", { n: 0 });
      const load = steady(async () => expect(await store.load("there")).not.toBeNull());
      const save = steady(async (n) => {
        const id = `saved-${n}`;
        const { record } = await store.save(id, { n });
        await store.save(id, { n: n + 1 }, { record: record ?? undefined });
        expect((await store.load(id))?.data).toEqual({ n: n + 1 });
      });
      const touch = steady(async (n) => {
        const record = await store.load("there");
        if (record) await store.touch("there", record, { ttl: 86_400_000 + n });
      });
      const destroy = steady(async (n) => {
        await store.save(`ended-${n}`, {});
        await store.destroy(`ended-${n}`);
        expect(await store.load(`ended-${n}`)).toBeNull();
      });
      const all = [load, save, touch, destroy];
      for (let outage = 0; outage < 2; outage++) {
        await Promise.all(all.map((each) => each.further(10)));
        await server.kill();
        await server.restart();
        await Promise.all(all.map((each) => each.further(10)));
      }
      const failures = await Promise.all(all.map((each) => each.stop()));
      expect(failures.flat()).toEqual([]);
    });

    it("an outage longer than the timeout fails with the code, in time, and loses no acknowledged save", async () => {
      const timeout = 250;
      const store = await openHasty(await connection(server), timeout);
      const acknowledged = new Map<string, number>();
      const clock = stopwatch();
      let slowest = 0;
      const workers = Array.from({ length: 8 }, (_, worker) =>
        steady(async (n) => {
          const id = `worker-${worker}-${n % 3}`;
          const start = clock.elapsed();
          try {
            await store.save(id, { n });
            acknowledged.set(id, n);
          } finally {
            slowest = Math.max(slowest, clock.elapsed() - start);
          }
        }),
      );
      await Promise.all(workers.map((each) => each.further(20)));
      await server.kill();
      // One operation that fails, and so has begun and ended in the outage, each.
      await Promise.all(workers.map((each) => each.failed()));
      await server.restart();
      await Promise.all(workers.map((each) => each.further(20)));
      const failures = (await Promise.all(workers.map((each) => each.stop()))).flat();
      clock.stop();
      expect(failures.length).toBeGreaterThan(0);
      for (const failure of failures) expect(failure).toMatchObject(UNAVAILABLE);
      expect(slowest).toBeLessThan(timeout + LITTLE);
      for (const [id, n] of acknowledged) {
        expect((await answered(() => store.load(id)))?.data.n, id).toBeGreaterThanOrEqual(n);
      }
    });

    it("a connection that its owner closes is an outage, also for what is in flight; close is still clean", async () => {
      const nc = await connection(server);
      const store = await open(nc);
      const each = await operations(store);
      await server.pause();
      const inFlight = Promise.allSettled([store.load("there"), store.save("x", {}), store.destroy("there")]);
      void nc.close().catch(() => {});
      await server.resume();
      for (const result of await inFlight) {
        if (result.status === "rejected") expect(result.reason).toMatchObject(UNAVAILABLE);
        else expect(result.value).not.toBeNull();
      }
      await inTime(
        100,
        Promise.all(
          Object.entries(each).map(([name, run]) => expect(run(), name).rejects.toMatchObject(UNAVAILABLE)),
        ),
      );
      await store.close();
    });

    it("a connection that is drained is an outage after that, and close is still clean", async () => {
      const nc = await connection(server);
      const store = await open(nc);
      const each = await operations(store);
      const draining = (nc as unknown as { drain(): Promise<void> }).drain();
      await inTime(2000, Promise.allSettled(Object.values(each).map((run) => run())));
      await draining;
      for (const [name, run] of Object.entries(each)) {
        await expect(run(), name).rejects.toMatchObject(UNAVAILABLE);
      }
      await store.close();
    });

    it("a bucket that is deleted is an error with a code, never null, and can be opened anew", async () => {
      const nc = await connection(server);
      const store = await open(nc);
      const each = await operations(store);
      await (await jetstreamManager(nc as never)).streams.delete("KV_sessions");
      for (const [name, run] of Object.entries(each)) {
        await expect(run(), name).rejects.toMatchObject({ code: "ERR_SESSION_BUCKET_MISSING" });
      }
      await open(nc);
      expect(await store.load("there")).toBeNull();
    });
  });

  describe("limits", () => {
    let server: NatsServer;
    let nc: Connection;
    let bucket: string;
    beforeAll(async () => {
      server = await startNatsServer();
    });
    afterAll(() => server.stop());
    beforeEach(async () => {
      nc = await connection(server);
      bucket = newBucket();
    });

    const limit = async (max_msg_size: number) => {
      const jsm = await jetstreamManager(nc as never);
      await jsm.streams.update(`KV_${bucket}`, { max_msg_size });
    };
    const large = { text: "x".repeat(2000) };

    it("a full bucket refuses new sessions; loads and saves of stored ones work, and destroys make room", async () => {
      const store = await open(nc, { bucket, maxBytes: 40_000 });
      const fill = async () => {
        for (let n = 0; ; n++) await store.save(`${n}`, large);
      };
      await expect(fill()).rejects.toMatchObject({
        code: "ERR_SESSION_BUCKET_FULL",
        message: expect.stringMatching(/maxBytes/),
      });
      const record = (await store.load("0")) ?? undefined;
      expect(record?.data).toEqual(large);
      expect((await store.save("0", large, { record })).outcome).toBe("saved");
      expect(await store.destroy("0")).toBe(true);
      expect(await store.destroy("1")).toBe(true);
      expect((await store.save("anew", large)).outcome).toBe("saved");
    });

    it("a session beyond the bucket's message size is too large, the error says both numbers", async () => {
      await (await open(nc, { bucket })).close();
      await limit(1600);
      const store = await open(nc, { bucket });
      const { record } = await store.save("id", { n: 1 });
      await expect(store.save("id", large, { record: record ?? undefined })).rejects.toMatchObject({
        code: "ERR_SESSION_TOO_LARGE",
        message: expect.stringMatching(/ 2011 bytes.* allows 1\d{3}\b/),
      });
      expect((await store.load("id"))?.data).toEqual({ n: 1 });
    });

    it("also where the bucket was given the limit after it had been opened", async () => {
      const store = await open(nc, { bucket });
      await limit(1600);
      const saving = store.save("id", large);
      await expect(saving).rejects.toMatchObject({ code: "ERR_SESSION_TOO_LARGE" });
      await expect(saving).rejects.toThrow(/ 2011 bytes/);
      await expect(saving).rejects.not.toThrow(/-\d/);
      expect(await store.load("id")).toBeNull();
    });

    it("a limit that is far too small keeps nobody from destroying a session", async () => {
      await (await open(nc, { bucket })).save("id", { n: 1 });
      await limit(400);
      const store = await open(nc, { bucket });
      expect(await store.destroy("id")).toBe(true);
      await expect(store.save("id", large)).rejects.not.toThrow(/-\d/);
    });
  });

  describe("permissions", () => {
    const bucket = "guarded";
    const user = (name: string, permissions: string) =>
      `{user: ${name}, password: p, permissions: {${permissions}}}`;
    const config = `authorization { users: [
      {user: all, password: p}
      ${user("no_write", `publish: {deny: "$KV.${bucket}.>"}`)}
      ${user("no_read", `publish: {deny: "$JS.API.DIRECT.GET.>"}`)}
      ${user("no_info", `publish: {deny: "$JS.API.STREAM.INFO.>"}`)}
      ${user("no_create", `publish: {deny: "$JS.API.STREAM.CREATE.>"}`)}
      ${user("no_update", `publish: {deny: "$JS.API.STREAM.UPDATE.>"}`)}
      ${user("no_inbox", `subscribe: {deny: "_INBOX.>"}`)}
      ${user("own_inbox", `subscribe: {allow: "_INBOX_app.>"}`)}
      ${user(
        "least",
        `publish: {allow: ["$KV.${bucket}.>", "$JS.API.DIRECT.GET.KV_${bucket}.$KV.${bucket}.>", "$JS.API.DIRECT.GET.KV_${bucket}", "$JS.API.STREAM.INFO.KV_${bucket}"]}, subscribe: {allow: "_INBOX.>"}`,
      )}
    ] }`;
    let server: NatsServer;
    beforeAll(async () => {
      server = await startNatsServer({ config });
      const all = await connect({ servers: server.url, ...{ user: "all", pass: "p" } });
      const store = await openPatient(all, { bucket });
      await store.save("there", { n: 1 });
      await all.close();
    });
    afterAll(() => server.stop());

    const as = (name: string, options: object = {}) =>
      connection(server, { user: name, pass: "p", ...options });
    const refused = (subject: string) => ({
      code: "ERR_SESSION_PERMISSION",
      message: expect.stringContaining(`"${subject}`),
    });

    it("writing is refused with the subject; reading goes on", async () => {
      const store = await open(await as("no_write"), { bucket, touchAfter: 0 });
      const record = await store.load("there");
      if (!record) throw new Error("not found");
      const subject = `$KV.${bucket}.s.${store.handleOf("there")}"`;
      await expect(store.save("there", { n: 2 }, { record })).rejects.toMatchObject(refused(subject));
      await expect(store.touch("there", record, { ttl: 90_000_000 })).rejects.toMatchObject(refused(subject));
      await expect(store.destroy("there")).rejects.toMatchObject(refused(subject));
      await expect(store.clear()).rejects.toMatchObject(refused(subject));
      expect((await store.load("there"))?.data).toEqual({ n: 1 });
    });

    it("reading is refused with the subject", async () => {
      const store = await open(await as("no_read"), { bucket });
      const start = `$JS.API.DIRECT.GET.KV_${bucket}`;
      await expect(store.load("there")).rejects.toMatchObject(refused(start));
      await expect(store.load("nobody")).rejects.toMatchObject(refused(start));
      await expect(store.count({ exact: true })).rejects.toMatchObject(refused(start));
    });

    it("asking for the bucket is refused with the subject", async () => {
      const opening = open(await as("no_info"), { bucket });
      await expect(opening).rejects.toMatchObject(refused(`$JS.API.STREAM.INFO.KV_${bucket}"`));
    });

    it("creating the bucket is refused with the subject, and no other is", async () => {
      const nc = await as("no_create");
      await expect(open(nc, { bucket: "new" })).rejects.toMatchObject(
        refused('$JS.API.STREAM.CREATE.KV_new"'),
      );
      await open(nc, { bucket });
    });

    it("changing the bucket is refused with the subject", async () => {
      const opening = open(await as("no_update"), { bucket, maxBytes: 1_000_000, updateBucket: true });
      await expect(opening).rejects.toMatchObject(refused(`$JS.API.STREAM.UPDATE.KV_${bucket}"`));
    });

    it("an inbox that may not be subscribed to is refused with the subject, not a timeout", async () => {
      await expect(open(await as("no_inbox"), { bucket })).rejects.toMatchObject(refused("_INBOX."));
    });

    it("the inbox prefix of the connection is used", async () => {
      const store = await open(await as("own_inbox", { inboxPrefix: "_INBOX_app" }), { bucket });
      expect(await store.load("there")).not.toBeNull();
      expect(await store.count({ exact: true })).toBe(1);
    });

    it("these few subjects are enough for everything on a bucket of one replica", async () => {
      const store = await open(await as("least"), { bucket, prefix: "least" });
      const { record } = await store.save("id", { n: 1 });
      await store.save("id", { n: 2 }, { record: record ?? undefined });
      expect((await store.load("id"))?.data).toEqual({ n: 2 });
      expect(await store.count({ exact: true })).toBe(1);
      await store.clear();
      expect(await store.load("id")).toBeNull();
    });
  });
}

async function inTime<T>(timeout: number, operation: Promise<T>): Promise<void> {
  const clock = stopwatch();
  try {
    await operation;
    expect(clock.elapsed()).toBeLessThan(timeout + LITTLE);
  } finally {
    clock.stop();
  }
}

/** Repeats what a busy machine may not get done within a short timeout, until it is answered. */
async function answered<T>(operation: () => Promise<T>): Promise<T> {
  let result: { value: T } | undefined;
  await until("an answer", async () => {
    try {
      result = { value: await operation() };
    } catch (error) {
      expect(error).toMatchObject(UNAVAILABLE);
    }
    return result !== undefined;
  });
  return (result as { value: T }).value;
}

/** Runs something over and over until it is stopped; notes what fails and goes on. */
function steady(run: (n: number) => Promise<unknown>) {
  const failures: unknown[] = [];
  let done = 0;
  let going = true;
  let wake = () => {};
  const reached = async (condition: () => boolean) => {
    while (!condition()) {
      await new Promise<void>((resolve) => {
        wake = resolve;
      });
    }
  };
  const loop = (async () => {
    for (let n = 0; going; n++) {
      try {
        await run(n);
        done++;
      } catch (error) {
        failures.push(error);
        await new Promise((resolve) => setImmediate(resolve));
      }
      wake();
    }
  })();
  return {
    /** Resolves when it has succeeded so many more times. */
    further: (times: number) => {
      const goal = done + times;
      return reached(() => done >= goal);
    },
    /** Resolves when it has failed once. */
    failed: () => reached(() => failures.length > 0),
    stop: async () => {
      going = false;
      await loop;
      return failures;
    },
  };
}
