import { randomUUID } from "node:crypto";
import { type JetStreamManager, jetstreamManager } from "@nats-io/jetstream";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { SessionStore } from "nats-session-store";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { answered } from "../../support/answered.js";
import type { Connection } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { clientsUnderFaults, expectNothingPending, LITTLE } from "../support/expectations.js";
import { Load } from "../support/load.js";
import type { Operation } from "../support/worker.js";

const TIMEOUT = 1000;
const PATIENCE = 20_000;
const ALL: Operation[] = ["load", "save", "touch", "destroy"];

interface Scene {
  readonly server: NatsServer;
  readonly admin: Connection;
  readonly streams: JetStreamManager["streams"];
}

interface Trouble {
  readonly name: string;
  /** The code that says which, and what the message must say. */
  readonly code: string;
  readonly message: RegExp;
  /** What fails; what the others do does not matter. */
  readonly operations: Operation[];
  readonly since?: [major: number, minor: number];
  begin(scene: Scene): Promise<unknown>;
  /** What has to be done over and over for the trouble to last. */
  goOn?(scene: Scene): Promise<unknown>;
  /** Missing where it cannot be undone. */
  end?(scene: Scene): Promise<unknown>;
  /** Whether the sessions are lost with it. */
  readonly loses?: boolean;
}

const STREAM = "KV_sessions";
const account = (permissions: string) => `authorization { users: [
  {user: app, password: p, permissions: {${permissions}}}, {user: admin, password: p}
] }`;
const update = (config: object) => (scene: Scene) => scene.streams.update(STREAM, config);
const permit = (permissions: string) => (scene: Scene) => configure(scene.server, account(permissions));

function isAtLeast(server: NatsServer, [wantedMajor, wantedMinor]: readonly [number, number]): boolean {
  const [major = 0, minor = 0] = server.version.split(".").map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/** Gives a server another configuration; those before 2.11 need a restart for it. */
function configure(server: NatsServer, config: string): Promise<void> {
  return isAtLeast(server, [2, 11]) ? server.reload(config) : server.restart({ config });
}

const troubles: Trouble[] = [
  {
    name: "the stream is deleted",
    code: "ERR_SESSION_BUCKET_MISSING",
    message: /no bucket "sessions"|"KV_sessions" does not exist/,
    operations: ALL,
    begin: ({ streams }) => streams.delete(STREAM),
    end: async ({ admin }) => (await SessionStore.open(admin, { timeout: PATIENCE })).close(),
    loses: true,
  },
  {
    name: "the stream's direct get is turned off",
    code: "ERR_SESSION_BUCKET_MISMATCH",
    message: /allow_direct is false/,
    operations: ["load"],
    begin: update({ allow_direct: false }),
    end: update({ allow_direct: true }),
  },
  {
    name: "the stream's subjects are changed",
    code: "ERR_SESSION_BUCKET_MISMATCH",
    message: /subjects is \["elsewhere"\]/,
    operations: ["save", "touch", "destroy"],
    // Before, a stream that republishes keeps its subjects.
    since: [2, 10],
    begin: update({ subjects: ["elsewhere"] }),
    end: update({ subjects: ["$KV.sessions.>"] }),
  },
  {
    name: "the stream is sealed",
    code: "ERR_SESSION_BUCKET_MISMATCH",
    message: /sealed/,
    operations: ["save", "touch", "destroy"],
    begin: update({ sealed: true }),
  },
  {
    name: "messages are limited to less than a session takes",
    code: "ERR_SESSION_TOO_LARGE",
    message: /the server or the bucket allows fewer/,
    operations: ["save", "touch"],
    begin: update({ max_msg_size: 100 }),
    end: update({ max_msg_size: -1 }),
  },
  {
    name: "the bucket is full",
    code: "ERR_SESSION_BUCKET_FULL",
    message: /maximum bytes exceeded.*`maxBytes`/,
    operations: ["save"],
    // Before, a full bucket drops the oldest of what it has.
    since: [2, 10],
    begin: async ({ streams }) =>
      streams.update(STREAM, { max_bytes: (await streams.info(STREAM)).state.bytes + 10_000 }),
    goOn: async ({ admin }) => {
      const store = await SessionStore.open(admin, { prefix: "more", timeout: PATIENCE });
      for (let full = false; !full; ) {
        await store.save(randomUUID(), {}).catch(() => {
          full = true;
        });
      }
      await store.close();
    },
    end: update({ max_bytes: -1 }),
  },
  {
    name: "JetStream is turned off",
    code: "ERR_SESSION_JETSTREAM_OFF",
    message: /JetStream does not answer/,
    operations: ALL,
    begin: ({ server }) => server.restart({ jetstream: false }),
    end: ({ server }) => server.restart({ jetstream: true }),
  },
  {
    name: "the permission to write is taken away",
    code: "ERR_SESSION_PERMISSION",
    message: /publish to "\$KV\.sessions\.s\./,
    operations: ["save", "touch", "destroy"],
    begin: permit('publish: {deny: "$KV.>"}'),
    end: permit(""),
  },
  {
    name: "the permission to read is taken away",
    code: "ERR_SESSION_PERMISSION",
    message: /publish to "\$JS\.API\.DIRECT\.GET\.KV_sessions\./,
    operations: ["load"],
    begin: permit('publish: {deny: "$JS.API.DIRECT.GET.>"}'),
    end: permit(""),
  },
  {
    name: "the permission to receive answers is taken away",
    code: "ERR_SESSION_PERMISSION",
    message: /subscription to "_INBOX\./,
    operations: ALL,
    begin: permit('subscribe: {deny: "_INBOX.>"}'),
    end: permit(""),
  },
  {
    name: "the credentials are revoked",
    code: "ERR_SESSION_UNAVAILABLE",
    message: /connection is closed \(.*Authorization Violation/i,
    operations: ALL,
    begin: ({ server }) => configure(server, "authorization { users: [{user: admin, password: p}] }"),
  },
];

describe.each(clientsUnderFaults)("over %s", { timeout: 180_000 }, (_client, connect) => {
  let server: NatsServer;
  let nc: Connection;
  let admin: Connection;
  let store: SessionStore;

  beforeEach(async () => {
    server = await startNatsServer({ config: account("") });
    const as = (user: string) => connect({ servers: server.url, ...{ user, pass: "p" } });
    [nc, admin] = await Promise.all([as("app"), as("admin")]);
    await (await SessionStore.open(admin, { timeout: PATIENCE })).close();
    const options = { timeout: TIMEOUT, touchAfter: 0, createBucket: false };
    store = await answered(() => SessionStore.open(nc, options));
  });
  afterEach(async () => {
    await store.close();
    await Promise.all([nc.close(), admin.close()]);
    await server.stop();
    await expectNothingPending();
  });

  it.each(troubles.map((trouble) => [trouble.name, trouble] as const))(
    "when %s, a code says which and the store works again once that is undone",
    async (_name, trouble) => {
      const { code, message, operations, since = [2, 9] } = trouble;
      if (!isAtLeast(server, since)) return;
      const scene = { server, admin, streams: (await jetstreamManager(admin as never)).streams };
      const load = await Load.start(store);
      await load.further(5);

      await trouble.begin(scene);
      for (const operation of operations) {
        const told = () =>
          load.failures.find((failure) => failure.operation === operation && failure.code === code);
        const isTold = async () => {
          await trouble.goOn?.(scene);
          return told() !== undefined;
        };
        await until(`a ${operation} that fails with ${code}`, isTold, 40_000);
        expect(told()?.message).toMatch(message);
      }
      expect(load.slowest).toBeLessThan(TIMEOUT + LITTLE);
      // The link itself may have been down for a moment.
      expect(load.codes.filter((each) => each !== code && each !== "ERR_SESSION_UNAVAILABLE")).toEqual([]);

      if (trouble.end) {
        if (trouble.loses) await load.stop();
        await trouble.end(scene);
        if (trouble.loses) {
          expect(await answered(() => store.load("own-0-0"))).toBeNull();
          expect((await answered(() => store.save("own-0-0", {}))).outcome).toBe("saved");
          return;
        }
        await load.further(5);
        await load.verify(admin, "sessions");
      } else {
        await load.stop();
      }
      expect(load.violations).toEqual([]);
    },
  );

  it("when the connection is closed or drained, a code says so and the store closes cleanly", async () => {
    for (const end of ["close", "drain"] as const) {
      const own = await connect({ servers: server.url, ...{ user: "app", pass: "p" } });
      const another = await answered(() =>
        SessionStore.open(own, { prefix: end, timeout: TIMEOUT, touchAfter: 0 }),
      );
      const load = await Load.start(another);
      await load.further(5);
      await (own as unknown as Record<typeof end, () => Promise<void>>)[end]();
      await load.failure(["save"]);
      await load.stop();
      expect(load.codes).toEqual(["ERR_SESSION_UNAVAILABLE"]);
      expect(load.violations).toEqual([]);
      await another.close();
      await expect(another.load("own-0-0")).rejects.toMatchObject({ code: "ERR_SESSION_CLOSED" });
    }
  });
});
