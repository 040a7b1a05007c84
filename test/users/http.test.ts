import { type NatsStore, rotate } from "connect-nats";
import type { SessionStoreOptions } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stopApps, type Visit } from "../http/support/app.js";
import { type ExpressVisit, expressFramework } from "../http/support/express.js";
import { frameworks } from "../http/support/frameworks.js";
import { connectTo, startServer } from "../http/support/servers.js";
import type { Visitor } from "../http/support/visitor.js";
import { PATIENCE } from "../support/patient.js";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";
import { type Data, user } from "./support.js";

let nc: Connection;
beforeAll(async () => {
  nc = await connectCurrent();
});
afterAll(async () => {
  await stopApps();
  await nc?.close();
});

const signIn = (name: string) => (visit: Visit) => {
  visit.session.user = name;
  return visit.save();
};
const whoAmI = ({ session }: Visit) => session.user ?? null;

describe.each(frameworks)("sign-ins beyond `maxSessionsPerUser`, with $name", (framework) => {
  const open = (options: SessionStoreOptions) =>
    framework.Store.open(nc, {
      bucket: newBucket(),
      timeout: PATIENCE,
      user: (data: Data) => data.user,
      maxSessionsPerUser: 2,
      ...options,
    });

  it("sign the oldest out", async () => {
    const app = await framework.start(await open({}));
    const devices = [app.visitor(), app.visitor(), app.visitor()];
    for (const device of devices) await device.visit(signIn("ada"));
    const seen = [];
    for (const device of devices) seen.push((await device.visit(whoAmI)).result);
    expect(seen).toEqual([null, "ada", "ada"]);
  });

  it("are an error that the application can tell by its code, when they are refused", async () => {
    const app = await framework.start(await open({ onLimit: "refuse" }));
    const devices = [app.visitor(), app.visitor(), app.visitor()];
    for (const device of devices.slice(0, 2)) await device.visit(signIn("ada"));
    const refused = devices[2] as Visitor<Visit>;
    const code = await refused.visit(async (visit) => {
      const error = await signIn("ada")(visit).then(
        () => undefined,
        (error: { code?: string }) => error,
      );
      visit.session.user = undefined;
      return error?.code;
    });
    expect(code.result).toBe("ERR_SESSION_LIMIT");
    expect((await refused.visit(whoAmI)).result).toBeNull();
    for (const device of devices.slice(0, 2)) expect((await device.visit(whoAmI)).result).toBe("ada");
    // Once one has signed out, there is a place.
    await devices[0]?.visit((visit) => visit.destroy());
    await refused.visit(signIn("ada"));
    expect((await refused.visit(whoAmI)).result).toBe("ada");
  });
});

describe("rotate(req) of Express", () => {
  const open = (options: SessionStoreOptions = {}) =>
    expressFramework.Store.open(nc, { bucket: newBucket(), timeout: PATIENCE, user, ...options });
  const idOf = (visitor: Visitor<ExpressVisit>) => expressFramework.idOf(visitor) as string;
  const begin = async (store: NatsStore, maxAge?: number) => {
    const app = await expressFramework.start(store, maxAge === undefined ? {} : { maxAge });
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.cart = ["book"];
    });
    return { app, ada, oldId: idOf(ada) };
  };

  it("gives a new cookie, keeps the data and the age, and the old cookie is worth nothing", async () => {
    const store = await open();
    const { ada, oldId } = await begin(store, 600_000);
    const thief = ada.copy();
    const before = await store.sessions.load(oldId);
    const answer = await ada.visit(async ({ req, session }) => {
      session.user = "ada";
      await rotate(req);
      return [req.session.id === req.sessionID, req.session.cookie.originalMaxAge];
    });
    expect(answer.result).toEqual([true, 600_000]);
    expect(answer.setCookie).toHaveLength(1);
    expect(idOf(ada)).not.toBe(oldId);
    const seen = await ada.visit(({ session }) => [session.user, session.cart]);
    expect(seen.result).toEqual(["ada", ["book"]]);
    expect((await store.sessions.load(idOf(ada)))?.createdAt).toBe(before?.createdAt);
    expect((await thief.visit(({ session }) => [session.user ?? null, session.cart ?? null])).result).toEqual(
      [null, null],
    );
    expect(await store.sessions.load(oldId)).toBeNull();
    expect(await store.sessions.count({ exact: true })).toBe(1);
  });

  it("keeps what a request at the same time has written, and what comes after it in this one", async () => {
    const { ada } = await begin(await open());
    const other = ada.copy();
    await ada.visit(async ({ req, session }) => {
      await other.visit((elsewhere) => {
        elsewhere.session.theme = "dark";
      });
      session.user = "ada";
      await rotate(req);
      (req.session as unknown as Data).after = 1;
    });
    const seen = await ada.visit(({ session }) => [session.user, session.theme, session.after, session.cart]);
    expect(seen.result).toEqual(["ada", "dark", 1, ["book"]]);
  });

  it("ends the old id for requests under way", async () => {
    const store = await open();
    const { ada, oldId } = await begin(store);
    const slow = ada.copy();
    const gone: string[] = [];
    store.on("gone", ({ handle }) => gone.push(handle));
    await slow.visit(async ({ session }) => {
      await ada.visit(({ req }) => rotate(req));
      session.user = "mallory";
    });
    expect(gone).toEqual([store.sessions.handleOf(oldId)]);
    expect((await slow.visit(whoAmI)).result).toBeNull();
    expect((await ada.visit(({ session }) => session.cart)).result).toEqual(["book"]);
  });

  it("keeps settings of the cookie that were changed", async () => {
    const { ada } = await begin(await open());
    const answer = await ada.visit(async ({ req }) => {
      req.session.cookie.maxAge = 120_000;
      req.session.cookie.sameSite = "strict";
      await rotate(req);
    });
    expect(answer.setCookie.join()).toMatch(/SameSite=Strict/);
    const seen = await ada.visit(({ req }) => [
      req.session.cookie.originalMaxAge,
      req.session.cookie.sameSite,
    ]);
    expect(seen.result).toEqual([120_000, "strict"]);
  });

  it("of a session that was never stored begins one under the new id", async () => {
    const store = await open();
    const app = await expressFramework.start(store);
    const ada = app.visitor();
    await ada.visit(async ({ req, session }) => {
      session.user = "ada";
      await rotate(req);
    });
    expect((await ada.visit(whoAmI)).result).toBe("ada");
    expect(await store.sessions.count({ exact: true })).toBe(1);
  });

  it("does not bring back a session that was ended elsewhere", async () => {
    const store = await open();
    const { ada, oldId } = await begin(store);
    const gone: object[] = [];
    store.on("gone", (event) => gone.push(event));
    const answer = await ada.visit(async ({ req }) => {
      await store.sessions.destroy(oldId);
      await rotate(req);
      return req.sessionID === oldId;
    });
    expect(answer.result).toBe(true);
    expect(gone[0]).toMatchObject({ handle: store.sessions.handleOf(oldId) });
    expect(await store.sessions.count({ exact: true })).toBe(0);
  });

  it("twice in a request leaves one session", async () => {
    const store = await open();
    const { ada } = await begin(store);
    await ada.visit(async ({ req }) => {
      await rotate(req);
      await rotate(req);
    });
    expect((await ada.visit(({ session }) => session.cart)).result).toEqual(["book"]);
    expect(await store.sessions.count({ exact: true })).toBe(1);
  });

  it("in an outage is an error, and the request keeps its old id", async ({ onTestFinished: defer }) => {
    const server = await startServer(defer);
    const store = await expressFramework.Store.open(await connectTo(server, defer), { timeout: 2000 });
    const { ada, oldId } = await begin(store);
    const answer = await ada.visit(async ({ req }) => {
      await server.pause();
      const error = await rotate(req).then(
        () => undefined,
        (error: { code?: string }) => error,
      );
      await server.resume();
      return [error?.code, req.sessionID === oldId, req.session.id === oldId];
    });
    expect(answer.result).toEqual(["ERR_SESSION_UNAVAILABLE", true, true]);
    expect((await ada.visit(({ session }) => session.cart)).result).toEqual(["book"]);
  });

  it("needs a request whose session is in a NatsStore", async () => {
    await expect(rotate({} as never)).rejects.toThrow(TypeError);
  });
});
