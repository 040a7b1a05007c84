import { setTimeout as sleep } from "node:timers/promises";
import { type ConnectionOptions, connect } from "@nats-io/transport-node";
import type { NatsServer } from "nats-dev-server";
import { openSessionStore } from "nats-session-store";
import { afterAll, describe, expect, test } from "vitest";
import { newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";
import { stopApps, type Visit } from "./support/app.js";
import { frameworks } from "./support/frameworks.js";
import { connectTo, type Defer, PATIENT, startServer } from "./support/servers.js";
import type { Visitor } from "./support/visitor.js";

const TIMEOUT = 500;
/** An answer that took longer was not bounded by `timeout`: what it waits for never comes. */
const HANGS = 15_000;

afterAll(stopApps);

async function dial(server: NatsServer, defer: Defer, options: ConnectionOptions = {}) {
  const nc = await connect({
    servers: server.url,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 50,
    ...options,
  });
  defer(() => nc.close());
  return nc;
}

const signIn = ({ session }: Visit) => {
  session.user = "ada";
};
const whoAmI = ({ session }: Visit) => session.user;

/** Signs in as soon as it can be done; until then each answer must be the expected error, and in time. */
async function signInWhenMended(ada: Visitor<Visit>, code: string): Promise<void> {
  await until("the application to work without a restart", async () => {
    const start = performance.now();
    const answer = await ada.visit(signIn);
    expect(performance.now() - start).toBeLessThan(HANGS);
    // A busy machine may need longer than the timeout, after the headers too.
    const next = answer.status === 200 ? await ada.visit(whoAmI) : answer;
    if (next.status !== 200) expect(next).toMatchObject({ status: 500, code });
    return next.status === 200 && next.result === "ada";
  });
}

describe.each(frameworks)(
  "$name with a store that is still being opened",
  { concurrent: true },
  (framework) => {
    /** A visitor with a cookie, for whose requests the store has to be asked. */
    const returning = (app: Awaited<ReturnType<typeof framework.start>>) =>
      app.visitor().with(framework.cookiesOf("an-earlier-session"));

    test("an application without await works from the first request on", async ({ onTestFinished }) => {
      const server = await startServer(onTestFinished);
      const store = new framework.Store(
        openSessionStore(dial(server, onTestFinished), { bucket: newBucket(), timeout: PATIENT }),
      );
      const app = await framework.start(store);
      const ada = app.visitor();
      expect(await ada.visit(signIn)).toMatchObject({ status: 200 });
      expect((await ada.visit(whoAmI)).result).toBe("ada");
      expect(app.failures).toEqual([]);
    });

    test("a function is called once, however many requests wait for it", async ({ onTestFinished }) => {
      const server = await startServer(onTestFinished);
      let calls = 0;
      const store = new framework.Store(() => {
        calls++;
        return openSessionStore(dial(server, onTestFinished), { bucket: newBucket(), timeout: PATIENT });
      });
      const app = await framework.start(store);
      const answers = await Promise.all([1, 2, 3].map(() => returning(app).visit()));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
      expect(calls).toBe(1);
    });

    test("server down at open, given as a function: an error until it is up, no restart needed", async ({
      onTestFinished,
    }) => {
      const server = await startServer(onTestFinished);
      await server.stop();
      const bucket = newBucket();
      const store = new framework.Store(() =>
        openSessionStore(dial(server, onTestFinished), { bucket, timeout: TIMEOUT }),
      );
      const app = await framework.start(store);
      const ada = returning(app);
      const down = { status: 500, code: "ERR_SESSION_UNAVAILABLE", setCookie: [] };
      expect(await ada.visit()).toMatchObject(down);
      expect(await ada.visit()).toMatchObject(down);
      expect(app.failures[0]).toHaveProperty("cause");
      await server.restart();
      await signInWhenMended(ada, down.code);
    });

    test("server down at open, given as a promise of a connection: an error until it is up", async ({
      onTestFinished,
    }) => {
      const server = await startServer(onTestFinished);
      await server.stop();
      const connection = dial(server, onTestFinished, { waitOnFirstConnect: true });
      const store = new framework.Store(
        openSessionStore(connection, { bucket: newBucket(), timeout: TIMEOUT }),
      );
      const app = await framework.start(store);
      const ada = returning(app);
      const answer = await Promise.race([ada.visit(), sleep(HANGS, "no answer in time")]);
      await server.restart();
      await connection;
      expect(answer).toMatchObject({ status: 500, code: "ERR_SESSION_UNAVAILABLE", setCookie: [] });
      await signInWhenMended(ada, "ERR_SESSION_UNAVAILABLE");
    });

    test("a connection whose server went down before the opening: an error until it is back", async ({
      onTestFinished,
    }) => {
      const server = await startServer(onTestFinished);
      const nc = await connectTo(server, onTestFinished);
      await server.kill();
      const store = new framework.Store(openSessionStore(nc, { bucket: newBucket(), timeout: TIMEOUT }));
      const app = await framework.start(store);
      const ada = returning(app);
      expect(await ada.visit()).toMatchObject({
        status: 500,
        code: "ERR_SESSION_UNAVAILABLE",
        setCookie: [],
      });
      await server.restart();
      await signInWhenMended(ada, "ERR_SESSION_UNAVAILABLE");
    });

    describe.each(["promise", "function"])("bucket missing, given as a %s", (kind) => {
      test("an error for each request until somebody creates it", async ({ onTestFinished }) => {
        const server = await startServer(onTestFinished);
        const nc = await connectTo(server, onTestFinished);
        const bucket = newBucket();
        const open = () => openSessionStore(nc, { bucket, createBucket: false, timeout: PATIENT });
        const store = new framework.Store(kind === "function" ? open : open());
        const app = await framework.start(store);
        const ada = returning(app);
        const missing = { status: 500, code: "ERR_SESSION_BUCKET_MISSING", setCookie: [] };
        expect(await ada.visit()).toMatchObject(missing);
        expect(await ada.visit()).toMatchObject(missing);
        expect((app.failures[0] as Error).message).toContain(bucket);

        await framework.Store.open(nc, { bucket, timeout: PATIENT });
        await signInWhenMended(ada, missing.code);
      });
    });

    test("a function that throws before it opens anything is called again for the next request", async ({
      onTestFinished,
    }) => {
      const server = await startServer(onTestFinished);
      const nc = await connectTo(server, onTestFinished);
      let configured = false;
      const store = new framework.Store(() => {
        if (!configured) throw Object.assign(new Error("not configured yet"), { code: "ERR_NOT_CONFIGURED" });
        return openSessionStore(nc, { bucket: newBucket(), timeout: PATIENT });
      });
      const app = await framework.start(store);
      const ada = returning(app);
      for (const _ of [1, 2])
        expect(await ada.visit()).toMatchObject({ status: 500, code: "ERR_NOT_CONFIGURED" });
      configured = true;
      await signInWhenMended(ada, "ERR_NOT_CONFIGURED");
    });

    test("wrong options are a TypeError for each request", async ({ onTestFinished }) => {
      const server = await startServer(onTestFinished);
      const store = new framework.Store(openSessionStore(dial(server, onTestFinished), { ttl: -5 }));
      const app = await framework.start(store);
      expect(await returning(app).visit()).toMatchObject({ status: 500, setCookie: [] });
      expect(app.failures[0]).toBeInstanceOf(TypeError);
      expect((app.failures[0] as Error).message).toContain("`ttl`");
    });
  },
);
