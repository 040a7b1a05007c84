import type { NatsServer } from "nats-dev-server";
import { describe, expect, test } from "vitest";
import { answered } from "../../support/answered.js";
import { PATIENCE } from "../../support/patient.js";
import { type Connection, clients, newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { frameworks } from "../support/frameworks.js";
import { connectTo, HANGS, startServer, timed } from "../support/servers.js";
import { change, seenBy, useApps, whoAmI } from "../support/signed-in.js";
import type { Settings } from "../support/visit.js";

const TIMEOUT = 500;
const DOWN = { status: 500, code: "ERR_SESSION_UNAVAILABLE", setCookie: [] };

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

useApps();

describe.each(frameworks)("with $name", { concurrent: true }, (framework) => {
  /**
   * Two applications on the same sessions: `hasty` soon gives up on a server that does not answer, for the outage;
   * `patient` does not give up on a busy machine, for what comes before and after it. One browser is signed in.
   */
  async function start(nc: Connection, settings?: Settings, timeout = TIMEOUT) {
    const bucket = newBucket();
    const patientStore = await framework.Store.open(nc, { bucket, timeout: PATIENCE });
    const hastyStore = await answered(() => framework.Store.open(nc, { bucket, timeout }));
    const patient = await framework.start(patientStore, settings);
    const hasty = await framework.start(hastyStore, settings);
    const ada = patient.visitor();
    await ada.visit(change({ user: "ada" }));
    return { patient, hasty, ada };
  }

  describe.each(Object.keys(clients))("over %s", (client) => {
    test.for(outages)(
      "a server that is $name gives errors within the timeout, signs no visitor out and needs no restart",
      async ({ begin, end }, { onTestFinished }) => {
        const server = await startServer(onTestFinished);
        const nc = await connectTo(server, onTestFinished, client);
        const { ada, hasty, patient } = await start(nc, { rolling: true, maxAge: 600_000 });
        const visitor = ada.copy(hasty);
        const id = framework.idOf(ada);

        await begin(server);
        const answers = await Promise.all([
          timed(visitor.copy().visit()),
          timed(visitor.copy().visit()),
          // A visitor without a session needs no store until something is stored.
          timed(hasty.visitor().visit()),
          timed(
            hasty.visitor().visit((visit) => {
              change({ user: "grace" })(visit);
              return visit.save();
            }),
          ),
        ]);
        expect(answers).toMatchObject([DOWN, DOWN, { status: 200 }, { status: 500, code: DOWN.code }]);
        for (const { ms } of answers) expect(ms).toBeLessThan(HANGS);

        await end(server);
        await until("the next request that works", async () => {
          const answer = await visitor.visit(whoAmI);
          if (answer.status !== 200) expect(answer).toMatchObject(DOWN);
          else expect(answer.result).toBe("ada");
          return answer.status === 200;
        });
        expect(framework.idOf(visitor)).toBe(id);
        const later = visitor.copy(patient);
        await later.visit(change({ views: 1 }));
        expect(await seenBy(later)).toEqual({ user: "ada", views: 1 });
      },
    );
  });

  test("a server that fails in the middle of a request makes its save an error and loses nothing", async ({
    onTestFinished,
  }) => {
    const server = await startServer(onTestFinished);
    // What is loaded before the failure must not run into the timeout.
    const { ada, hasty } = await start(await connectTo(server, onTestFinished), undefined, 2000);
    const answer = await ada.copy(hasty).visit(async (visit) => {
      await server.kill();
      change({ user: "countess" })(visit);
      await visit.save();
    });
    expect(answer).toMatchObject({ status: 500, code: DOWN.code });
    await server.restart();
    await until("a request that works", async () => (await ada.copy(hasty).visit()).status === 200);
    expect(await seenBy(ada)).toEqual({ user: "ada" });
  });

  test("a connection that is closed for good is an error for each request", async ({ onTestFinished }) => {
    const server = await startServer(onTestFinished);
    const nc = await connectTo(server, onTestFinished);
    const { ada, hasty } = await start(nc);
    await nc.close();
    for (const _ of [1, 2]) {
      const answer = await timed(ada.copy(hasty).visit());
      expect(answer).toMatchObject(DOWN);
      expect(answer.ms).toBeLessThan(HANGS);
    }
  });
});
