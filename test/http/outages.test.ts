import type { NatsServer } from "nats-dev-server";
import { afterAll, describe, expect, test } from "vitest";
import { clients, newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";
import { stopApps } from "./support/app.js";
import { frameworks } from "./support/frameworks.js";
import { connectTo, startServer } from "./support/servers.js";
import type { Answer } from "./support/visitor.js";

const TIMEOUT = 500;

/** An answer that took longer was not bounded by `timeout`; koa-session tries a failed save a second time. */
const HANGS = 2 * TIMEOUT + 2000;

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
  describe.each(Object.keys(clients))("with a connection of %s", (client) => {
    test.for(outages)(
      "$name: an error within the timeout, never a sign-out, and all is well after it",
      async ({ begin, end }, { onTestFinished }) => {
        const server = await startServer(onTestFinished);
        const nc = await connectTo(server, onTestFinished, client);
        const store = await framework.Store.open(nc, { bucket: newBucket(), timeout: TIMEOUT });
        const app = await framework.start(store, { rolling: true, maxAge: 600_000 });
        const ada = app.visitor();
        await ada.visit(({ session }) => {
          session.user = "ada";
        });
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
        await ada.visit(({ session }) => {
          session.views = 1;
        });
        expect((await ada.visit(({ session }) => session.views)).result).toBe(1);
      },
    );
  });

  test("a server that fails in the middle of a request makes its save an error, and loses nothing", async ({
    onTestFinished,
  }) => {
    const server = await startServer(onTestFinished);
    const store = await framework.Store.open(await connectTo(server, onTestFinished), {
      bucket: newBucket(),
      timeout: TIMEOUT,
    });
    const app = await framework.start(store);
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const answer = await ada.copy().visit(async (visit) => {
      await server.kill();
      visit.session.user = "countess";
      await visit.save();
    });
    expect(answer).toMatchObject({ status: 500, code: "ERR_SESSION_UNAVAILABLE" });

    await server.restart();
    await until("the next request that works", async () => (await ada.visit()).status === 200);
    expect((await ada.visit(({ session }) => session.user)).result).toBe("ada");
  });

  test("a connection that is closed for good is an error for each request", async ({ onTestFinished }) => {
    const server = await startServer(onTestFinished);
    const nc = await connectTo(server, onTestFinished);
    const store = await framework.Store.open(nc, { bucket: newBucket(), timeout: TIMEOUT });
    const app = await framework.start(store);
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    await nc.close();
    for (const _ of [1, 2]) {
      const answer = await timed(ada.visit());
      expect(answer).toMatchObject({ status: 500, code: "ERR_SESSION_UNAVAILABLE", setCookie: [] });
      expect(answer.ms).toBeLessThan(HANGS);
    }
  });
});
