import { rotate } from "connect-nats";
import { describe, expect, test } from "vitest";
import { stopClock } from "../../support/clock.js";
import { user } from "../../support/stores.js";
import { expressFramework } from "../support/express.js";
import { connectTo, startServer } from "../support/servers.js";
import { change, type Data, seenBy, useApps } from "../support/signed-in.js";

const apps = useApps();

describe("rotate(req)", () => {
  const begin = (maxAge?: number) =>
    apps.signedIn(expressFramework, {
      user,
      data: { cart: "a book" },
      settings: maxAge === undefined ? {} : { maxAge },
    });

  test("gives a new cookie, keeps data and age, and makes the old cookie useless", async () => {
    // express-session computes originalMaxAge from two readings of the clock.
    stopClock();
    const { ada, store, id, isStored } = await begin(600_000);
    const thief = ada.copy();
    const before = await store.sessions.load(id);
    const answer = await ada.visit(async ({ req, session }) => {
      session.user = "bob";
      await rotate(req);
      return [req.session.id === req.sessionID, req.session.cookie.originalMaxAge];
    });
    expect(answer.result).toEqual([true, 600_000]);
    expect(answer.setCookie).toHaveLength(1);
    const newId = expressFramework.idOf(ada) as string;
    expect(newId).not.toBe(id);
    expect(await seenBy(ada)).toEqual({ user: "bob", cart: "a book" });
    expect((await store.sessions.load(newId))?.createdAt).toBe(before?.createdAt);
    expect(await seenBy(thief)).toEqual({});
    expect(await isStored()).toBe(false);
    expect(await store.sessions.count({ exact: true })).toBe(1);
  });

  test("keeps what another request has written meanwhile, and what its own request writes later", async () => {
    const { ada } = await begin();
    const other = ada.copy();
    await ada.visit(async ({ req, session }) => {
      await other.visit(change({ theme: "dark" }));
      session.user = "bob";
      await rotate(req);
      (req.session as unknown as Data).after = 1;
    });
    expect(await seenBy(ada)).toEqual({ user: "bob", theme: "dark", after: 1, cart: "a book" });
  });

  test("ends the old id for requests under way", async () => {
    const { ada, gone, handle } = await begin();
    const slow = ada.copy();
    await slow.visit(async (visit) => {
      await ada.visit(({ req }) => rotate(req));
      change({ user: "mallory" })(visit);
    });
    expect(gone).toMatchObject([{ handle }]);
    expect(await seenBy(slow)).toEqual({});
    expect(await seenBy(ada)).toEqual({ user: "ada", cart: "a book" });
  });

  test("keeps changed settings of the cookie", async () => {
    stopClock();
    const { ada } = await begin();
    const answer = await ada.visit(async ({ req }) => {
      req.session.cookie.maxAge = 120_000;
      req.session.cookie.sameSite = "strict";
      await rotate(req);
    });
    expect(answer.setCookie.join()).toMatch(/SameSite=Strict/);
    const { result } = await ada.visit(({ req: { session } }) => [
      session.cookie.originalMaxAge,
      session.cookie.sameSite,
    ]);
    expect(result).toEqual([120_000, "strict"]);
  });

  test("of a session that was never stored begins one under the new id", async () => {
    const store = await apps.open(expressFramework);
    const app = await expressFramework.start(store);
    const ada = app.visitor();
    await ada.visit(async (visit) => {
      change({ user: "ada" })(visit);
      await rotate(visit.req);
    });
    expect(await seenBy(ada)).toEqual({ user: "ada" });
    expect(await store.sessions.count({ exact: true })).toBe(1);
  });

  test("does not bring back a session that was ended by another request", async () => {
    const { ada, store, id, gone, handle } = await begin();
    const answer = await ada.visit(async ({ req }) => {
      await store.sessions.destroy(id);
      await rotate(req);
      return req.sessionID === id;
    });
    expect(answer.result).toBe(true);
    expect(gone[0]).toMatchObject({ handle });
    expect(await store.sessions.count({ exact: true })).toBe(0);
  });

  test("called twice in a request leaves one session", async () => {
    const { ada, store } = await begin();
    await ada.visit(async ({ req }) => {
      await rotate(req);
      await rotate(req);
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", cart: "a book" });
    expect(await store.sessions.count({ exact: true })).toBe(1);
  });

  test("is an error in an outage, and the request keeps its old id", async ({ onTestFinished: defer }) => {
    const server = await startServer(defer);
    const store = await expressFramework.Store.open(await connectTo(server, defer), { timeout: 2000 });
    const ada = (await expressFramework.start(store)).visitor();
    await ada.visit(change({ user: "ada" }));
    const id = expressFramework.idOf(ada);
    const answer = await ada.visit(async ({ req }) => {
      await server.pause();
      const error = await rotate(req).then(
        () => undefined,
        (error: { code?: string }) => error,
      );
      await server.resume();
      return [error?.code, req.sessionID === id, req.session.id === id];
    });
    expect(answer.result).toEqual(["ERR_SESSION_UNAVAILABLE", true, true]);
    expect(await seenBy(ada)).toEqual({ user: "ada" });
  });

  test("rejects with a TypeError for a request whose session is in no NatsStore", async () => {
    await expect(rotate({} as never)).rejects.toThrow(TypeError);
  });
});
