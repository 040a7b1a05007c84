import type { NatsServer } from "nats-dev-server";
import { afterAll, describe, expect, test } from "vitest";
import { answered } from "../support/answered.js";
import { type Connection, clients, newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";
import { type App, type Settings, stopApps, type Visit } from "./support/app.js";
import { frameworks } from "./support/frameworks.js";
import { connectTo, PATIENT, startServer } from "./support/servers.js";
import type { Answer, Visitor } from "./support/visitor.js";

const TIMEOUT = 500;

/** An answer that took longer was not bounded by `timeout`: the outages last until the answers are there. */
const HANGS = 20_000;

/** How a server can fail, and how it comes back with its data. */
const outages: {
  name: string;
  begin(server: NatsServer): Promise<void>;
  end(server: NatsServer): Promise<void>;
}[] = [
  { name: "stopped", begin: (server) => server.stop(), end: (server) => server.restart() },
  { name: "killed", begin: (server) => server.kill(), end: (server) => server.restart() },
  { name: "frozen", begin: (server) => server.pause(), end: (server) => server.resume() },
];

afterAll(stopApps);

async function timed(visit: Promise<Answer>): Promise<Answer & { ms: number }> {
  const start = performance.now();
  const answer = await visit;
  return { ...answer, ms: performance.now() - start };
}

describe.each(frameworks)("$name while nats-server is down", { concurrent: true }, (framework) => {
  /**
   * Two applications over one connection and bucket: one that soon gives up on a server that does not answer, for
   * the outage, and one that a busy machine does not make give up, for what is before and after.
   */
  async function start(nc: Connection, settings?: Settings) {
    const bucket = newBucket();
    const patient = await framework.Store.open(nc, { bucket, timeout: PATIENT });
    const hasty = await answered(() => framework.Store.open(nc, { bucket, timeout: TIMEOUT }));
    return { app: await framework.start(hasty, settings), patient: await framework.start(patient, settings) };
  }

  /** Somebody who is signed in. */
  async function signedIn(app: App<Visit>): Promise<Visitor<Visit>> {
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    return ada;
  }

  describe.each(Object.keys(clients))("with a connection of %s", (client) => {
    test.for(outages)(
      "$name: an error within the timeout, never a sign-out, and all is well after it",
      async ({ begin, end }, { onTestFinished }) => {
        const server = await startServer(onTestFinished);
        const nc = await connectTo(server, onTestFinished, client);
        const { app, patient } = await start(nc, { rolling: true, maxAge: 600_000 });
        const ada = (await signedIn(patient)).copy(app);
        const id = framework.idOf(ada);

        await begin(server);
        const answers = await Promise.all([
          timed(ada.copy().visit()),
          timed(ada.copy().visit()),
          // A visitor without a session needs no store until something is to be stored.
          timed(app.visitor().visit()),
          timed(
            app.visitor().visit(async (visit) => {
              visit.session.user = "grace";
              await visit.save();
            }),
          ),
        ]);
        const down = { status: 500, code: "ERR_SESSION_UNAVAILABLE", setCookie: [] };
        expect(answers).toMatchObject([down, down, { status: 200 }, { status: 500, code: down.code }]);
        for (const { ms } of answers) expect(ms).toBeLessThan(HANGS);

        await end(server);
        await until("the next request that works", async () => {
          const answer = await ada.visit(({ session }) => session.user);
          if (answer.status !== 200) expect(answer).toMatchObject(down);
          else expect(answer.result).toBe("ada");
          return answer.status === 200;
        });
        expect(framework.idOf(ada)).toBe(id);
        const later = ada.copy(patient);
        await later.visit(({ session }) => {
          session.views = 1;
        });
        expect((await later.visit(({ session }) => session.views)).result).toBe(1);
      },
    );
  });

  test("a server that fails in the middle of a request makes its save an error, and loses nothing", async ({
    onTestFinished,
  }) => {
    const server = await startServer(onTestFinished);
    const nc = await connectTo(server, onTestFinished);
    const bucket = newBucket();
    // What is loaded before the failure must not run into the timeout.
    const store = await framework.Store.open(nc, { bucket, timeout: 2000 });
    const app = await framework.start(store);
    const patient = await framework.start(await framework.Store.open(nc, { bucket, timeout: PATIENT }));
    const ada = await signedIn(patient);
    const answer = await ada.copy(app).visit(async (visit) => {
      await server.kill();
      visit.session.user = "countess";
      await visit.save();
    });
    expect(answer).toMatchObject({ status: 500, code: "ERR_SESSION_UNAVAILABLE" });

    await server.restart();
    await until("the next request that works", async () => (await ada.copy(app).visit()).status === 200);
    expect((await ada.visit(({ session }) => session.user)).result).toBe("ada");
  });

  test("a connection that is closed for good is an error for each request", async ({ onTestFinished }) => {
    const server = await startServer(onTestFinished);
    const nc = await connectTo(server, onTestFinished);
    const { app, patient } = await start(nc);
    const ada = (await signedIn(patient)).copy(app);
    await nc.close();
    for (const _ of [1, 2]) {
      const answer = await timed(ada.visit());
      expect(answer).toMatchObject({ status: 500, code: "ERR_SESSION_UNAVAILABLE", setCookie: [] });
      expect(answer.ms).toBeLessThan(HANGS);
    }
  });
});
