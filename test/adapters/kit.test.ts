import { NatsStore as ExpressStore, rotate } from "connect-nats";
import { NatsStore as KoaStore } from "koa-session-nats";
import { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";
import { stopApps } from "./support/app.js";
import { type ExpressVisit, expressFramework } from "./support/express.js";
import { Gate } from "./support/gate.js";
import { koaFramework } from "./support/koa.js";
import type { Visit } from "./support/visit.js";
import type { Visitor } from "./support/visitor.js";

let nc: Connection;

beforeAll(async () => {
  nc = await connectCurrent();
});

afterAll(async () => {
  await stopApps();
  await nc.close();
});

const open = (options: object = {}) =>
  // biome-ignore lint/suspicious/noExplicitAny: the data of both frameworks
  SessionStore.open<any>(nc, { bucket: newBucket(), timeout: 30_000, ...options });

/** An application of each framework over the same store, with that framework's way to give a session a new id. */
const frameworks = [
  {
    name: "Express",
    start: (sessions: SessionStore) => expressFramework.start(new ExpressStore(sessions)),
    renew: ({ req }: ExpressVisit) => rotate(req),
  },
  {
    name: "Koa",
    start: (sessions: SessionStore) => koaFramework.start(new KoaStore(sessions)),
    renew: (visit: Visit) => visit.regenerate(),
  },
] as unknown as {
  name: string;
  start(sessions: SessionStore): ReturnType<typeof koaFramework.start>;
  renew(visit: Visit): Promise<void>;
}[];

const whoAmI = ({ session }: Visit) => session.user;

describe.each(frameworks)("a double click on the sign-in button of $name", ({ start, renew }) => {
  test.for([false, true])(
    "signs in with each of both responses, 20 of 20 times, with the cache %s",
    async (cache) => {
      const sessions = await open({ cache });
      const app = await start(sessions);
      for (let round = 0; round < 20; round++) {
        const first = app.visitor();
        await first.visit(({ session }) => Object.assign(session, { form: round }));
        const second = first.copy();
        let loaded = 0;
        const bothLoaded = new Gate();
        const signIn = async (visit: Visit) => {
          if (++loaded === 2) bothLoaded.open();
          await bothLoaded.opened;
          visit.session.user = "ada";
          await renew(visit);
        };
        const old = first.copy();
        const answers = await Promise.all([first, second].map((visitor) => visitor.visit(signIn)));
        expect(answers.map(({ status }) => status)).toEqual([200, 200]);
        expect((await first.visit(whoAmI)).result).toBe("ada");
        expect((await second.visit(whoAmI)).result).toBe("ada");
        expect((await old.visit(whoAmI)).result).toBeNull();
      }
      expect(app.failures).toEqual([]);
      await sessions.close();
    },
  );

  test("signs in when the second request goes on after the first response", async () => {
    const sessions = await open();
    const app = await start(sessions);
    const first = app.visitor();
    await first.visit(({ session }) => Object.assign(session, { form: 1 }));
    const second = first.copy();
    const gate = new Gate();
    let isWaiting = false;
    const slow = second.visit(async (visit) => {
      isWaiting = true;
      await gate.opened;
      visit.session.user = "ada";
      await renew(visit);
    });
    await until("the second request to wait", () => isWaiting);
    await first.visit((visit) => {
      visit.session.user = "ada";
      return renew(visit);
    });
    gate.open();
    expect((await slow).status).toBe(200);
    expect((await first.visit(whoAmI)).result).toBe("ada");
    expect((await second.visit(whoAmI)).result).toBe("ada");
    await sessions.close();
  });
});

describe("a store of the core that an Express and a Koa application share", () => {
  async function start() {
    const sessions = await open({ user: (data: { user?: string }) => data.user });
    const [express, koa] = [new ExpressStore(sessions), new KoaStore(sessions)];
    const apps = [await expressFramework.start(express), await koaFramework.start(koa)] as const;
    return { sessions, express, koa, apps };
  }

  test("is the same object in both, and holds the sessions of both", async () => {
    const { sessions, express, koa, apps } = await start();
    expect(express.sessions).toBe(sessions);
    expect(koa.sessions).toBe(sessions);
    const visitors = apps.map((app) => (app as (typeof apps)[1]).visitor());
    for (const visitor of visitors)
      await visitor.visit(({ session }) => Object.assign(session, { user: "ada" }));
    expect(await sessions.count({ exact: true })).toBe(2);
    let listed = 0;
    for await (const { data } of sessions.listByUser("ada")) {
      expect(data.user).toBe("ada");
      listed++;
    }
    expect(listed).toBe(2);
    // What express-session did not write it could not use.
    expect(await express.all()).toHaveLength(1);
    expect(await sessions.destroyByUser("ada")).toBe(2);
    for (const visitor of visitors) expect((await visitor.visit(whoAmI)).result).toBeNull();
    await sessions.close();
  });

  test("tells only the adapter whose request met the end of a session", async () => {
    const { sessions, express, koa, apps } = await start();
    const gone: string[] = [];
    express.on("gone", ({ handle, operation }) => gone.push(`express ${operation} ${handle}`));
    koa.on("gone", ({ handle, operation }) => gone.push(`koa ${operation} ${handle}`));
    const koaVisitor: Visitor<Visit> = apps[1].visitor() as never;
    await koaVisitor.visit(({ session }) => Object.assign(session, { user: "ada" }));
    const id = koaFramework.idOf(koaVisitor as never) ?? "";
    await koaVisitor.visit(async ({ session }) => {
      session.n = 1;
      await sessions.destroy(id);
    });
    expect(gone).toEqual([`koa save ${sessions.handleOf(id)}`]);
    await sessions.close();
  });

  test("is closed by its owner: an adapter's close() leaves it open for the other", async () => {
    const { sessions, express, koa, apps } = await start();
    const visitor: Visitor<Visit> = apps[1].visitor() as never;
    await visitor.visit(({ session }) => Object.assign(session, { user: "ada" }));
    await express.close();
    await koa.close();
    expect((await visitor.visit(whoAmI)).result).toBe("ada");
    await sessions.close();
    expect(await visitor.visit(whoAmI)).toMatchObject({ status: 500, code: "ERR_SESSION_CLOSED" });
  });

  test("takes no options beside it, but those of the adapter alone", async () => {
    const sessions = await open();
    const beside = () => new KoaStore(sessions, { ttl: 5, bucket: "other" });
    expect(beside).toThrow(TypeError);
    expect(beside).toThrow("ttl, bucket");
    expect(() => new ExpressStore(sessions, { ttl: 5 })).toThrow(TypeError);
    expect(new ExpressStore(sessions, { holdResponse: false }).sessions).toBe(sessions);
    await sessions.close();
  });
});

describe.each([
  ["Express", ExpressStore],
  ["Koa", KoaStore],
] as const)("the store of %s", (_name, Store) => {
  test.for([undefined, null, 5, "nats://127.0.0.1", {}, []])(
    "does not take %o for a connection",
    (source) => {
      expect(() => new Store(source as never)).toThrow(TypeError);
    },
  );

  test.for([{ ttl: -5 }, { bucket: "a b" }, { timeout: Number.NaN }, { touchAfer: 5 }])(
    "does not take the option %o",
    (options) => {
      expect(() => new Store(nc, options as never)).toThrow(TypeError);
    },
  );

  test("is no promise, and has no member that makes it look like one", () => {
    expect("then" in new Store(nc, { bucket: newBucket() })).toBe(false);
  });
});
