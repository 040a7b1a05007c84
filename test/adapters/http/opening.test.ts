import { setTimeout as sleep } from "node:timers/promises";
import { type ConnectionOptions, connect, type NatsConnection } from "@nats-io/transport-node";
import type { NatsServer } from "nats-dev-server";
import type { SessionStoreOptions } from "nats-session-store";
import { describe, expect, test } from "vitest";
import { PATIENCE } from "../../support/patient.js";
import { newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { frameworks } from "../support/frameworks.js";
import { connectTo, type Defer, HANGS, startServer } from "../support/servers.js";
import { change, useApps, whoAmI } from "../support/signed-in.js";
import type { Visit } from "../support/visit.js";
import type { Visitor } from "../support/visitor.js";

const TIMEOUT = 500;
const DOWN = { status: 500, code: "ERR_SESSION_UNAVAILABLE", setCookie: [] };

useApps();

type Source = NatsConnection | Promise<NatsConnection> | (() => NatsConnection | Promise<NatsConnection>);

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

/** Signs in as soon as that works; until then each answer must be the expected error, and come in time. */
async function signInWhenMended(ada: Visitor<Visit>, code: string): Promise<void> {
  await until("the application to work without a restart", async () => {
    const start = performance.now();
    const answer = await ada.visit(change({ user: "ada" }));
    expect(performance.now() - start).toBeLessThan(HANGS);
    // A busy machine may need longer than the timeout, after the headers too.
    const next = answer.status === 200 ? await ada.visit(whoAmI) : answer;
    if (next.status !== 200) expect(next).toMatchObject({ status: 500, code });
    return next.status === 200 && next.result === "ada";
  });
}

describe.each(frameworks)("with $name", { concurrent: true }, (framework) => {
  /** An application on a store that is not open yet, and a visitor whose requests need it. */
  async function start(source: Source, options: SessionStoreOptions = {}) {
    const given = { bucket: newBucket(), timeout: PATIENCE, ...options };
    const app = await framework.start(new framework.Store(source, given));
    return { app, ada: app.visitor().with(framework.cookiesOf("an-earlier-session")) };
  }

  test("an application that does not await the opening works from its first request on", async ({
    onTestFinished,
  }) => {
    const server = await startServer(onTestFinished);
    const { app } = await start(dial(server, onTestFinished));
    const ada = app.visitor();
    expect(await ada.visit(change({ user: "ada" }))).toMatchObject({ status: 200 });
    expect((await ada.visit(whoAmI)).result).toBe("ada");
    expect(app.failures).toEqual([]);
  });

  test("a function that connects is called once for requests that wait together", async ({
    onTestFinished,
  }) => {
    const server = await startServer(onTestFinished);
    let calls = 0;
    const { ada } = await start(() => {
      calls++;
      return dial(server, onTestFinished);
    });
    const answers = await Promise.all([1, 2, 3].map(() => ada.copy().visit()));
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(calls).toBe(1);
  });

  test("a function that cannot connect is called again by the next request until the server is up", async ({
    onTestFinished,
  }) => {
    const server = await startServer(onTestFinished);
    await server.stop();
    const { app, ada } = await start(() => dial(server, onTestFinished), { timeout: TIMEOUT });
    expect(await ada.visit()).toMatchObject(DOWN);
    expect(await ada.visit()).toMatchObject(DOWN);
    expect(app.failures[0]).toHaveProperty("cause");
    await server.restart();
    await signInWhenMended(ada, DOWN.code);
  });

  test("a promise of a connection that waits for the server is an error in time until the server is up", async ({
    onTestFinished,
  }) => {
    const server = await startServer(onTestFinished);
    await server.stop();
    const connection = dial(server, onTestFinished, { waitOnFirstConnect: true });
    const { ada } = await start(connection, { timeout: TIMEOUT });
    const answer = await Promise.race([ada.visit(), sleep(HANGS, "no answer in time")]);
    await server.restart();
    await connection;
    expect(answer).toMatchObject(DOWN);
    await signInWhenMended(ada, DOWN.code);
  });

  test("a connection whose server went down before the opening is an error until the server is back", async ({
    onTestFinished,
  }) => {
    const server = await startServer(onTestFinished);
    const nc = (await connectTo(server, onTestFinished)) as NatsConnection;
    await server.kill();
    const { ada } = await start(nc, { timeout: TIMEOUT });
    expect(await ada.visit()).toMatchObject(DOWN);
    await server.restart();
    await signInWhenMended(ada, DOWN.code);
  });

  test("a missing bucket with `createBucket: false` is an error for each request until it is created", async ({
    onTestFinished,
  }) => {
    const server = await startServer(onTestFinished);
    const nc = (await connectTo(server, onTestFinished)) as NatsConnection;
    const bucket = newBucket();
    const { app, ada } = await start(nc, { bucket, createBucket: false });
    const missing = { status: 500, code: "ERR_SESSION_BUCKET_MISSING", setCookie: [] };
    expect(await ada.visit()).toMatchObject(missing);
    expect(await ada.visit()).toMatchObject(missing);
    expect((app.failures[0] as Error).message).toContain(bucket);
    await framework.Store.open(nc, { bucket, timeout: PATIENCE });
    await signInWhenMended(ada, missing.code);
  });

  test("a function that throws is called again by the next request, and its error is the cause", async ({
    onTestFinished,
  }) => {
    const server = await startServer(onTestFinished);
    let configured = false;
    const { ada } = await start(() => {
      if (!configured) throw Object.assign(new Error("not configured yet"), { code: "ERR_NOT_CONFIGURED" });
      return dial(server, onTestFinished);
    });
    for (const _ of [1, 2]) expect(await ada.visit()).toMatchObject({ status: 500 });
    configured = true;
    await signInWhenMended(ada, "never");
  });
});
