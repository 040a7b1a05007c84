import { randomBytes } from "node:crypto";
import { describe, expect, test } from "vitest";
import { stopClock } from "../../support/clock.js";
import { encryptionBy } from "../../support/keys.js";
import { newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { frameworks } from "../support/frameworks.js";
import { change, seenBy, signOut, useApps, whoAmI } from "../support/signed-in.js";
import type { Settings } from "../support/visit.js";

const apps = useApps();

describe.each(frameworks)("$name", (framework) => {
  test("each visitor has a session of their own that lasts from request to request", async () => {
    const { ada, app } = await apps.signedIn(framework);
    const grace = app.visitor();
    await grace.visit(change({ user: "grace" }));
    expect(framework.idOf(ada)).not.toBe(framework.idOf(grace));
    for (const views of [1, 2, 3]) {
      const answer = await ada.visit(({ session }) => {
        session.views = Number(session.views ?? 0) + 1;
        return session.views;
      });
      expect(answer).toMatchObject({ status: 200, result: views });
    }
    expect([await seenBy(ada), await seenBy(grace)]).toEqual([{ user: "ada", views: 3 }, { user: "grace" }]);
    expect(app.failures).toEqual([]);
  });

  test("what JSON can express is read as it was stored", async () => {
    const cart = {
      items: [{ id: 7, count: 2 }],
      note: 'naïve 🛒 \u0000 "quoted" *.>',
      empty: {},
      none: null,
    };
    const { ada } = await apps.signedIn(framework, { data: { cart } });
    expect(await seenBy(ada)).toEqual({ user: "ada", cart });
  });

  test("a new session that the application does not change is not stored and sets no cookie", async () => {
    const store = await apps.open(framework);
    const app = await framework.start(store);
    expect(await app.visitor().visit(whoAmI)).toMatchObject({ status: 200, result: null, setCookie: [] });
    expect(await store.sessions.count()).toBe(0);
  });

  test("a session saved in the middle of a request is seen by another process at once", async () => {
    const { ada, bucket } = await apps.signedIn(framework, { data: { step: 1 } });
    const other = await framework.start(await apps.open(framework, { bucket }));
    const meanwhile = await ada.visit(async (visit) => {
      change({ step: 2 })(visit);
      await visit.save();
      const { result } = await ada.copy(other).visit(({ session }) => session.step);
      change({ step: 3 })(visit);
      return result;
    });
    expect(meanwhile.result).toBe(2);
    expect(await seenBy(ada)).toEqual({ user: "ada", step: 3 });
  });

  test("regenerate gives the session a new id and ends the old one", async () => {
    const { ada, id, store, isStored } = await apps.signedIn(framework);
    const before = ada.copy();
    await ada.visit(async (visit) => {
      await visit.regenerate();
      change({ user: "grace" })(visit);
    });
    expect(framework.idOf(ada)).not.toBe(id);
    expect(await seenBy(ada)).toEqual({ user: "grace" });
    expect(await seenBy(before)).toEqual({});
    expect(await isStored()).toBe(false);
    expect(await store.sessions.count({ exact: true })).toBe(1);
  });

  test("an application that gives a new session the old id gets nothing of the old session", async () => {
    const settings: Settings & { genid(): string } = { genid: () => "always the same" };
    const { ada, gone, handle } = await apps.signedIn(framework, { settings });
    await ada.visit(async (visit) => {
      change({ a: 1 })(visit);
      await ada.visit(async (other) => {
        await other.regenerate();
        change({ user: "grace" })(other);
      });
    });
    expect(await seenBy(ada)).toEqual({ user: "grace" });
    expect(gone).toEqual([{ handle, operation: "save" }]);
  });

  test("a changed maxAge is stored at once although no data changed, and stays for later requests", async () => {
    // express-session computes a maxAge from two readings of the clock.
    stopClock();
    const { ada, expiry } = await apps.signedIn(framework, {
      settings: { maxAge: 60_000 },
      touchAfter: 60_000,
    });
    const sent = Date.now();
    await ada.visit((visit) => visit.setMaxAge(600_000));
    expect(await expiry()).toBeGreaterThanOrEqual(sent + 600_000);
    const next = Date.now();
    await ada.visit(change({ views: 1 }));
    expect(await expiry()).toBeGreaterThanOrEqual(next + 600_000);
    await ada.visit((visit) => visit.setMaxAge(30_000));
    expect(await expiry()).toBeLessThanOrEqual(Date.now() + 30_000);
    expect(await seenBy(ada)).toEqual({ user: "ada", views: 1 });
  });

  test("posted names that would pollute a prototype do not", async () => {
    const posted = JSON.parse(
      '{"__proto__": {"admin": true}, "constructor": {"prototype": {"admin": true}}}',
    );
    const { ada } = await apps.signedIn(framework, { data: { posted } });
    const answer = await ada.visit(({ session }) => [
      session.user,
      (session.posted as { admin?: boolean }).admin ?? null,
      ({} as { admin?: boolean }).admin ?? null,
    ]);
    expect(answer.result).toEqual(["ada", null, null]);
  });

  test("a request whose browser has gone away still saves and keeps what another one changed", async () => {
    const { ada, app, store, id } = await apps.signedIn(framework, { data: { a: 1, b: 1 } });
    const leaving = new AbortController();
    const path = app.pathOf(async (visit) => {
      change({ a: 2 })(visit);
      leaving.abort();
      await ada.visit(change({ b: 2 }));
    });
    const request = fetch(app.url + path, { headers: { cookie: ada.cookie }, signal: leaving.signal });
    await expect(request).rejects.toThrow(/abort/);
    await until("the save", async () => {
      const record = (await store.sessions.load(id)) as { data?: { a?: number } } | null;
      return record?.data?.a === 2;
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, b: 2 });
    expect(app.failures).toEqual([]);
  });

  test("encryption that is turned on, and a key that is rotated, keep visitors signed in", async () => {
    const bucket = newBucket();
    const plain = await apps.signedIn(framework, { bucket, settings: { rolling: true } });
    let { ada } = plain;
    for (const encryption of [encryptionBy("k1"), encryptionBy("k2", "k1")]) {
      const store = await apps.open(framework, { bucket, encryption: { ...encryption, allowPlain: true } });
      const app = await framework.start(store, { rolling: true });
      ada = ada.copy(app);
      // One request renews the session, another one beside it saves.
      const beside = ada.copy();
      const [read] = await Promise.all([ada.visit(whoAmI), beside.visit(change({ theme: "dark" }))]);
      expect(read.result).toBe("ada");
      expect(await seenBy(ada)).toEqual({ user: "ada", theme: "dark" });
      expect(app.failures).toEqual([]);
    }
    const thief = ada.copy();
    await ada.visit(signOut);
    expect(await seenBy(thief)).toEqual({});
  });
});

/**
 * Session fixation: an id that an attacker made up and put into a visitor's browser must not become the id of a
 * session, whether or not its signature is right.
 */
describe.each(frameworks)("an id that the application did not give, for $name,", (framework) => {
  const madeUp = () => randomBytes(24).toString("base64url");
  const kinds = [{}, { encryption: encryptionBy("newest", "older") }];

  test.each(["right", "wrong", "missing"])("is not adopted when its signature is %s", async (signature) => {
    for (const options of kinds) {
      const { app, store } = await apps.signedIn(framework, options);
      const id = madeUp();
      const cookies = Object.entries(framework.cookiesOf(id)).flatMap(([name, value]) => {
        if (signature === "right") return [[name, value] as const];
        if (name.endsWith(".sig")) return signature === "wrong" ? [[name, madeUp()] as const] : [];
        return [[name, signature === "wrong" ? value.replace(/\.[^.]*$/, `.${madeUp()}`) : id] as const];
      });
      const victim = app.visitor().with(Object.fromEntries(cookies));
      expect(await victim.visit(change({ user: "grace" }))).toMatchObject({ status: 200 });
      expect(framework.idOf(victim)).not.toBe(id);
      expect(await store.sessions.load(id)).toBeNull();
      expect(await seenBy(app.visitor().with(framework.cookiesOf(id)))).toEqual({});
      expect(await seenBy(victim)).toEqual({ user: "grace" });
      // Cookies made as above pass for signed: with the id of a session they lead to it.
      const same = app.visitor().with(framework.cookiesOf(framework.idOf(victim) as string));
      expect(await seenBy(same)).toEqual({ user: "grace" });
      expect(app.failures).toEqual([]);
    }
  });

  test("is not adopted after its session was signed out, nor where it is a session's handle", async () => {
    for (const options of kinds) {
      const { ada, app, id, handle, entry, isStored } = await apps.signedIn(framework, options);
      const thief = ada.copy();
      expect(await seenBy(app.visitor().with(framework.cookiesOf(handle)))).toEqual({});
      expect(await ada.visit(signOut)).toMatchObject({ status: 200 });
      expect(await thief.visit(whoAmI)).toMatchObject({ status: 200, result: null });
      await thief.visit(change({ user: "mallory" }));
      expect(framework.idOf(thief)).not.toBe(id);
      expect(await isStored()).toBe(false);
      expect(await entry()).toMatchObject({ write: "destroy", text: "" });
    }
  });
});
