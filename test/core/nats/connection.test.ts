import { type NatsServer, startNatsServer } from "nats-dev-server";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { afterAll, afterEach, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { answered } from "../../support/answered.js";
import { openPatient, PATIENCE } from "../../support/patient.js";
import { type Connection, clients } from "../../support/variants.js";
import { stopwatch, until, withinLife } from "../../support/wait.js";

/** How much later than its `timeout` an operation may reject, in ms of a stopwatch. */
const LITTLE = 500;
const TIMEOUT = 400;
const UNAVAILABLE = { name: "SessionStoreError", code: "ERR_SESSION_UNAVAILABLE" };

describe.each(Object.entries(clients))("over %s", (_name, connect) => {
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

  async function start(options?: Parameters<typeof startNatsServer>[0]): Promise<NatsServer> {
    const server = await startNatsServer(options);
    onTestFinished(() => server.stop());
    return server;
  }

  afterEach(async () => {
    await Promise.all(stores.splice(0).map((store) => store.close()));
    await Promise.all(connections.splice(0).map((nc) => nc.close()));
  });

  describe("the opening", () => {
    const off = { code: "ERR_SESSION_JETSTREAM_OFF", message: expect.stringMatching(/JetStream/) };

    it("fails with a code of its own where JetStream is off", async () => {
      const nc = await connection(await start({ jetstream: false }));
      await expect(open(nc)).rejects.toMatchObject({ ...off, cause: expect.any(Error) });
    });

    const forOneAccount =
      "accounts { ON { jetstream: enabled, users: [{user: with, password: p}] }, OFF { users: [{user: without, password: p}] } }";

    it("fails with the same code where JetStream is off for the account", async () => {
      const nc = await connection(await start({ config: forOneAccount }), { user: "without", pass: "p" });
      // A busy server may need longer for its first answer.
      await withinLife(1000, async (timeout) => {
        const error = await open(nc, { timeout }).catch((error: unknown) => error);
        if ((error as { code?: string }).code === UNAVAILABLE.code) return false;
        expect(error).toMatchObject(off);
        return true;
      });
    });

    it("fails with that code for each caller, however long later answers take and the opening goes on", async () => {
      const server = await start({ config: forOneAccount });
      const nc = await connection(server, { user: "without", pass: "p" });
      const store = new SessionStore(nc, { timeout: PATIENCE });
      const closing = expect(store.ready()).rejects.toMatchObject({ code: "ERR_SESSION_CLOSED" });
      await until("the first answer", () => nc.stats().inMsgs > 0);
      await server.pause();
      await expect(store.check({ timeout: TIMEOUT })).rejects.toMatchObject(off);
      await server.resume();
      await store.close();
      await closing;
    });

    it.each(["down", "frozen"])(
      "fails within the timeout while the server is %s, and works later",
      async (how) => {
        const server = await start();
        const nc = await connection(server);
        if (how === "down") await server.kill();
        else await server.pause();
        await inTime(expect(open(nc, { timeout: TIMEOUT })).rejects.toMatchObject(UNAVAILABLE));
        if (how === "down") await server.restart();
        else await server.resume();
        await answered(() => open(nc, { timeout: 2000 }));
      },
    );

    it("fails where the connection was closed", async () => {
      const nc = await connection(await start());
      await nc.close();
      await expect(open(nc)).rejects.toMatchObject(UNAVAILABLE);
    });

    it("fails with the cause where a promised connection is refused", async () => {
      const refused = connect({ servers: "127.0.0.1:1", ...{ reconnect: false } });
      const opening = SessionStore.open(refused);
      await expect(opening).rejects.toMatchObject({ ...UNAVAILABLE, cause: expect.any(Error) });
    });

    it("fails within the timeout where a promised connection never comes", async () => {
      // However late the timers are, the earlier one comes first.
      const opening = SessionStore.open(new Promise<Connection>(() => {}), { timeout: TIMEOUT });
      const late = new Promise((_resolve, reject) => {
        setTimeout(() => reject(new Error("still opening")), TIMEOUT + LITTLE).unref();
      });
      await expect(Promise.race([opening, late])).rejects.toMatchObject(UNAVAILABLE);
    });
  });

  describe("while the store is open", () => {
    /** Every operation, on a session that was stored before. */
    async function operations(store: SessionStore): Promise<Record<string, () => Promise<unknown>>> {
      const { record } = await answered(() => store.save("there", { n: 1 }));
      if (!record) throw new Error("not saved");
      return {
        load: () => store.load("there"),
        "load of a missing session": () => store.load("missing"),
        save: () => store.save("there", { n: 2 }, { record }),
        "save of a new session": () => store.save("new", {}),
        touch: () => store.touch("there", record, { ttl: 2 * 86_400_000 }),
        destroy: () => store.destroy("there"),
        count: () => store.count(),
        "exact count": () => store.count({ exact: true }),
        handles: () => store.handles().next(),
        clear: () => store.clear(),
      };
    }

    it.each(["down", "frozen"])(
      "every operation rejects in time while the server is %s, and all works as before after it",
      async (how) => {
        const server = await start();
        const nc = await connection(server);
        await open(nc);
        const store = await answered(() => open(nc, { timeout: TIMEOUT }));
        const each = await operations(store);
        if (how === "down") await server.kill();
        else await server.pause();
        const rejections = Object.entries(each).map(([name, run]) =>
          expect(run(), name).rejects.toMatchObject(UNAVAILABLE),
        );
        await inTime(Promise.all(rejections));
        if (how === "down") await server.restart();
        else await server.resume();
        expect(await answered(() => store.load("missing"))).toBeNull();
        expect((await answered(() => store.save("after", { n: 1 }))).outcome).toBe("saved");
        expect((await answered(() => store.load("after")))?.data).toEqual({ n: 1 });
        await answered(() => store.destroy("after"));
        expect(await answered(() => store.load("after"))).toBeNull();
      },
    );

    it("operations in flight reject or are done when the connection is closed, and later ones reject at once", async () => {
      const server = await start();
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
      for (const [name, run] of Object.entries(each)) {
        await inTime(expect(run(), name).rejects.toMatchObject(UNAVAILABLE));
      }
      await store.close();
    });
  });

  describe("a refused subject", () => {
    const bucket = "guarded";
    const user = (name: string, permissions: string) =>
      `{user: ${name}, password: p, permissions: {${permissions}}}`;
    const config = `authorization { users: [
      {user: all, password: p}
      ${user("no_create", `publish: {deny: "$JS.API.STREAM.CREATE.>"}`)}
      ${user("no_update", `publish: {deny: "$JS.API.STREAM.UPDATE.>"}`)}
      ${user("no_inbox", `subscribe: {deny: "_INBOX.>"}`)}
      ${user("own_inbox", `subscribe: {allow: "_INBOX_app.>"}`)}
    ] }`;
    let server: NatsServer;
    beforeAll(async () => {
      server = await startNatsServer({ config });
      const all = await connect({ servers: server.url, ...{ user: "all", pass: "p" } });
      await (await openPatient(all, { bucket })).save("there", { n: 1 });
      await all.close();
    });
    afterAll(() => server.stop());

    const as = (name: string, options: object = {}) =>
      connection(server, { user: name, pass: "p", ...options });
    const refused = (subject: string) => ({
      code: "ERR_SESSION_PERMISSION",
      message: expect.stringContaining(`"${subject}`),
    });

    it("is named when the bucket may not be created, and is not asked where the bucket is there", async () => {
      const nc = await as("no_create");
      const opening = open(nc, { bucket: "new" });
      await expect(opening).rejects.toMatchObject(refused('$JS.API.STREAM.CREATE.KV_new"'));
      await open(nc, { bucket });
    });

    it("is named when the bucket may not be changed", async () => {
      const opening = open(await as("no_update"), { bucket, maxBytes: 1_000_000, updateBucket: true });
      await expect(opening).rejects.toMatchObject(refused(`$JS.API.STREAM.UPDATE.KV_${bucket}"`));
    });

    it("is named, without waiting for a timeout, when the inbox may not be subscribed to", async () => {
      await expect(open(await as("no_inbox"), { bucket })).rejects.toMatchObject(refused("_INBOX."));
    });

    it("is avoided by the inbox prefix of the connection", async () => {
      const store = await open(await as("own_inbox", { inboxPrefix: "_INBOX_app" }), { bucket });
      expect(await store.load("there")).not.toBeNull();
      expect(await store.count({ exact: true })).toBe(1);
    });
  });
});

async function inTime<T>(operation: Promise<T>): Promise<void> {
  const clock = stopwatch();
  try {
    await operation;
    expect(clock.elapsed()).toBeLessThan(TIMEOUT + LITTLE);
  } finally {
    clock.stop();
  }
}
