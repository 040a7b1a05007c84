import { connect } from "@nats-io/transport-node";
import { startNatsServer } from "nats-dev-server";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { confBlocksOf } from "../../support/conf-blocks.js";
import { HubAndLeaf } from "../../support/hub-and-leaf.js";
import { PATIENCE } from "../../support/patient.js";
import type { Connection } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { stopApps } from "../support/app.js";
import { frameworks } from "../support/frameworks.js";
import { change, seenBy, signOut } from "../support/signed-in.js";

/** A JetStream that an application reaches by its domain, or behind a prefix. */
interface Elsewhere {
  readonly options: SessionStoreOptions;
  /** The application's connection, and one for which that JetStream is its own. */
  readonly app: Connection;
  readonly own: Connection;
  stop(): Promise<void>;
}

const places: Record<string, () => Promise<Elsewhere>> = {
  "two buckets of a hub's domain": async () => {
    const servers = await HubAndLeaf.start();
    return {
      options: { domain: "hub", shards: 2 },
      app: await connect({ servers: servers.leaf.url }),
      own: await connect({ servers: servers.hub.url }),
      stop: () => servers.stop(),
    };
  },
  "a bucket of another account": async () => {
    const [, conf = ""] = await confBlocksOf("scaling.md");
    const server = await startNatsServer({ config: conf.replaceAll('"a password"', "p") });
    const signIn = (user: string) =>
      connect({ servers: server.url, user, pass: "p", inboxPrefix: "_INBOX_sessions" });
    const own = await signIn("storage");
    await (await SessionStore.open(own, { timeout: PATIENCE })).close();
    return {
      options: { apiPrefix: "sessions.js", createBucket: false },
      app: await signIn("app"),
      own,
      stop: () => server.stop(),
    };
  },
};

describe.each(Object.entries(places))("on %s", (_name, begin) => {
  let place: Elsewhere;
  beforeAll(async () => {
    place = await begin();
  });
  afterAll(async () => {
    await stopApps();
    await Promise.all([place?.app.close(), place?.own.close()]);
    await place?.stop();
  });

  test.each(frameworks)("$name signs in, keeps and ends its sessions there", async (framework) => {
    const { options, app: nc, own } = place;
    const prefix = framework.name.replace(/\W/g, "-");
    const common = { prefix, timeout: PATIENCE, user: (data: { user?: string }) => data.user };
    const store = await framework.Store.open(nc, { ...common, ...options, cache: true });
    const app = await framework.start(store);
    const { shards } = options;
    const truth = await SessionStore.open(own, { ...common, shards });
    const [ada, grace] = [app.visitor(), app.visitor()];
    for (const [visitor, user] of [
      [ada, "ada"],
      [grace, "grace"],
    ] as const) {
      await visitor.visit(change({ user }));
      await visitor.visit(change({ views: 1 }));
      expect(await seenBy(visitor)).toEqual({ user, views: 1 });
    }
    expect(await truth.count({ exact: true })).toBe(2);
    const users: unknown[] = [];
    for await (const { data } of truth.listByUser("ada")) users.push(data.user);
    expect(users).toEqual(["ada"]);
    await ada.visit(signOut);
    expect(await truth.destroyByUser("grace")).toBe(1);
    expect(await seenBy(ada)).toEqual({});
    await until("the feed to tell of the end", async () => Object.keys(await seenBy(grace)).length === 0);
    expect(app.failures).toEqual([]);
    await Promise.all([truth.close(), store.close()]);
  });
});
