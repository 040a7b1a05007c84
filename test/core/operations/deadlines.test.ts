import { startNatsServer } from "nats-dev-server";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { connectTo } from "../../adapters/support/servers.js";
import { putSessionsOf } from "../../support/many-sessions.js";
import { openPatient } from "../../support/patient.js";
import { type Data, Stores, user } from "../../support/stores.js";
import { connectCurrent, newBucket } from "../../support/variants.js";
import { stopwatch, until } from "../../support/wait.js";

const TIMEOUT = 1000;

/** What an operation may take beyond its timeout, in ms of the time that the process really had. */
const SLACK = 500;

/** How an operation ended, and after how long. */
async function timed(operation: () => Promise<unknown>): Promise<{ code: unknown; ms: number }> {
  const clock = stopwatch();
  const code = await operation().then(
    () => "done",
    (error) => error.code ?? error,
  );
  const ms = clock.elapsed();
  clock.stop();
  return { code, ms };
}

describe("stores on two servers with the same bucket name", () => {
  it("do not touch each other when one of the servers is frozen", async ({ onTestFinished: defer }) => {
    const servers = await Promise.all([startNatsServer(), startNatsServer()]);
    for (const server of servers) defer(() => server.stop());
    const options = { bucket: "sessions", user, maxSessionsPerUser: 2, timeout: TIMEOUT };
    const [frozen, other] = await Promise.all(
      servers.map(async (server) => SessionStore.open<Data>(await connectTo(server, defer), options)),
    );
    if (!frozen || !other) throw new Error("not open");
    for (const store of [frozen, other]) await store.save("id", { user: "ada" });
    await servers[0]?.pause();
    const late = [
      frozen.load("id"),
      frozen.save("new", { user: "ada" }),
      frozen.destroy("id"),
      frozen.destroyByUser("ada"),
      frozen.listByUser("ada").next(),
      frozen.count({ exact: true }),
    ].map((operation) => timed(() => operation));
    for (let n = 0; n < 20; n++) {
      const { code, ms } = await timed(async () => {
        await other.save(`session-${n}`, { user: "ada" });
        expect(await other.load(`session-${n}`)).not.toBeNull();
      });
      expect(code).toBe("done");
      expect(ms).toBeLessThan(TIMEOUT);
    }
    for (const { code, ms } of await Promise.all(late)) {
      expect(code).toBe("ERR_SESSION_UNAVAILABLE");
      expect(ms).toBeLessThan(TIMEOUT + SLACK);
    }
    expect(await other.count({ exact: true })).toBe(2);
    await servers[0]?.resume();
    await frozen.close();
  });
});

describe("a sign-in of a user with 12 000 sessions", () => {
  const stores = new Stores({ connect: connectCurrent });
  afterAll(() => stores.close());

  const begin = async (options: SessionStoreOptions) => {
    const bucket = newBucket();
    const patient = await stores.open({ bucket });
    const handles = Array.from({ length: 12_000 }, (_, n) => patient.handleOf(`session-${n}`));
    const nc = await stores.connect();
    await putSessionsOf(nc, bucket, patient.hashUser("ada"), handles, { user: "ada" });
    const limited = { bucket, user, timeout: TIMEOUT, maxSessionsPerUser: 5, ...options };
    return { patient, store: await SessionStore.open<Data>(nc, limited) };
  };

  it("ends in time with a limit, and the sessions beyond the limit are ended afterwards", async () => {
    const { patient, store } = await begin({});
    const { code, ms } = await timed(() => store.save("new", { user: "ada" }));
    expect(ms).toBeLessThan(TIMEOUT + SLACK);
    expect(code).toBe("done");
    await until("five sessions to be left", async () => (await patient.count({ exact: true })) === 5, 90_000);
    expect(await patient.load("new")).not.toBeNull();
    expect(await patient.load("session-11999")).not.toBeNull();
    await store.close();
  });

  it("ends in time with a limit that refuses it", async () => {
    const { store } = await begin({ onLimit: "refuse" });
    const { code, ms } = await timed(() => store.save("new", { user: "ada" }));
    expect(ms).toBeLessThan(TIMEOUT + SLACK);
    expect(code).toBe("ERR_SESSION_LIMIT");
    await store.close();
  });

  it("does not keep the store from closing", async () => {
    const { store } = await begin({});
    await store.save("new", { user: "ada" });
    const { ms } = await timed(() => store.close());
    expect(ms).toBeLessThan(TIMEOUT + SLACK);
  });
});

/** Blocks the process, as a function does that is not asynchronous and takes long. */
function block(ms: number): void {
  for (const end = performance.now() + ms; performance.now() < end; );
}

describe("a function of the application", () => {
  const stores = new Stores({ connect: connectCurrent });
  afterAll(() => stores.close());

  /** Sessions with this key make the function misbehave. */
  const isOdd = (data: object) => "odd" in data;
  const behaviours: Record<string, () => unknown> = {
    "never settles": () => new Promise(() => {}),
    "settles too late": () => new Promise((resolve) => setTimeout(resolve, 2 * TIMEOUT, "{}")),
    "rejects too late": () =>
      new Promise((_resolve, reject) => setTimeout(reject, 2 * TIMEOUT, new Error("secret"))),
    rejects: () => Promise.reject(new Error("secret")),
    throws: () => {
      throw new Error("secret");
    },
    blocks: () => block(TIMEOUT + 100),
  };
  const json = { stringify: JSON.stringify, parse: JSON.parse };
  const functions: Record<string, (act: () => unknown) => SessionStoreOptions> = {
    user: (act) => ({ user: (data) => (isOdd(data) ? ((act() ?? "ada") as string) : data.user) }),
    resolve: (act) => ({ user, resolve: (_key, { ours }) => act() ?? ours }),
    "serializer.stringify": (act) => ({
      user,
      serializer: {
        ...json,
        stringify: (data) =>
          isOdd(data) ? ((act() as string) ?? JSON.stringify(data)) : json.stringify(data),
      },
    }),
    "serializer.parse": (act) => ({
      user,
      serializer: {
        ...json,
        parse: (text) =>
          text.includes('"odd"') ? ((act() as object) ?? JSON.parse(text)) : JSON.parse(text),
      },
    }),
  };
  /** What fails in the serializer is told by the codes for that. */
  const codes: Record<string, Record<string, unknown>> = {
    user: {
      "never settles": expect.any(TypeError),
      "settles too late": expect.any(TypeError),
      "rejects too late": expect.any(TypeError),
      rejects: expect.any(TypeError),
    },
    "serializer.stringify": { rejects: "ERR_SESSION_SERIALIZE", throws: "ERR_SESSION_SERIALIZE" },
    "serializer.parse": { rejects: "ERR_SESSION_CORRUPT", throws: "ERR_SESSION_CORRUPT" },
  };
  const title = "`%s` that %s makes a save fail in time, and nothing is stored";

  const check = async (name: string, behaviour: string) => {
    const bucket = newBucket();
    const patient = await openPatient<Data>(await stores.connect(), { bucket, user });
    const options = functions[name]?.(behaviours[behaviour] as () => unknown);
    const store = await SessionStore.open<Data>(await stores.connect(), {
      bucket,
      timeout: TIMEOUT,
      ...options,
    });
    const { record } = await store.save("id", { user: "ada", n: 1 });
    if (!record) throw new Error("not saved");
    // Another request writes the session, so that the save merges.
    await patient.update("id", (data) => ({
      ...data,
      n: 2,
      ...(name === "serializer.parse" ? { odd: 1 } : {}),
    }));
    const before = await patient.load("id");
    const odd = name === "serializer.parse" ? {} : { odd: 1 };
    const { code, ms } = await timed(() => store.save("id", { user: "ada", n: 3, ...odd }, { record }));
    expect(code).toEqual(codes[name]?.[behaviour] ?? "ERR_SESSION_CALLBACK");
    // A function that blocks ends when it likes.
    expect(ms).toBeLessThan(TIMEOUT + SLACK);
    expect((await timed(() => store.close())).ms).toBeLessThan(TIMEOUT + SLACK);
    expect(await patient.load("id")).toEqual(before);
    expect(await patient.count({ exact: true })).toBe(1);
    // A rejection that comes late is nobody's: the test run fails on one.
    if (behaviour.endsWith("too late")) await new Promise((resolve) => setTimeout(resolve, TIMEOUT + SLACK));
  };

  it.concurrent.each(
    Object.keys(functions).flatMap((name) =>
      Object.keys(behaviours).flatMap((behaviour) =>
        behaviour === "blocks" ? [] : [[name, behaviour] as const],
      ),
    ),
  )(title, check);

  it.each(Object.keys(functions))(
    "`%s` that blocks the process makes a save fail in time, and nothing is stored",
    (name) => check(name, "blocks"),
  );
});
