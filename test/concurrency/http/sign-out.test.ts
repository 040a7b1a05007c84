import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Settings, stopApps, type Visit } from "../../http/support/app.js";
import { type Connection, connectCurrent } from "../../support/variants.js";
import { untilTime, withinLife } from "../../support/wait.js";
import { browse, change, frameworks, meeting, numbers, seenBy, signOut } from "./browsing.js";

const HOUR = 3_600_000;

let nc: Connection;

beforeAll(async () => {
  nc = await connectCurrent();
});

afterAll(async () => {
  await stopApps();
  await nc?.close();
});

describe.each(frameworks)("signing out of $name while other requests are under way", (framework) => {
  test("a slow one that changes the session succeeds, and does not bring it back", async () => {
    const { ada, app, id, gone, handle, isStored } = await browse(framework, nc, { data: { a: 1 } });
    const oldCookie = ada.copy();
    const slow = await ada.visit(async (visit) => {
      expect(await ada.visit(signOut)).toMatchObject({ status: 200 });
      change({ a: 2 })(visit);
      return "an answer";
    });
    expect(slow).toMatchObject({ status: 200, result: "an answer" });
    expect(gone).toEqual([{ handle, operation: "save" }]);
    expect(await isStored()).toBe(false);
    expect(app.failures).toEqual([]);

    // The browser, and whoever has kept the cookie of before, are signed out.
    expect(await seenBy(ada)).toEqual({});
    expect(await seenBy(oldCookie)).toEqual({});
    await oldCookie.visit(change({ user: "grace" }));
    expect(framework.idOf(oldCookie)).not.toBe(id);
    expect(await seenBy(oldCookie)).toEqual({ user: "grace" });
    expect(await isStored()).toBe(false);
  });

  test("neither does one that saves in the middle and goes on", async () => {
    const { ada, gone, handle, isStored } = await browse(framework, nc);
    const slow = await ada.visit(async (visit) => {
      change({ a: 1 })(visit);
      await visit.save();
      await ada.visit(signOut);
      change({ a: 2 })(visit);
      await visit.save();
      const after = await isStored();
      change({ a: 3 })(visit);
      return after;
    });
    expect(slow).toMatchObject({ status: 200, result: false });
    expect(gone).toEqual(Array(2).fill({ handle, operation: "save" }));
    expect(await isStored()).toBe(false);
    expect(await seenBy(ada)).toEqual({});
  });

  test("neither does one that only reads and renews the session", async () => {
    const settings = { rolling: true, maxAge: HOUR };
    const { ada, app, gone, handle, isStored } = await browse(framework, nc, { settings });
    const slow = await ada.visit(async ({ session }) => {
      await ada.visit(signOut);
      return session.user;
    });
    expect(slow).toMatchObject({ status: 200, result: "ada" });
    expect(gone).toMatchObject([{ handle }]);
    expect(await isStored()).toBe(false);
    expect(await seenBy(ada)).toEqual({});
    expect(app.failures).toEqual([]);
  });

  test("neither does one that is too early to renew it", async () => {
    const settings = { rolling: true, maxAge: HOUR };
    const { ada, isStored } = await browse(framework, nc, { settings, touchAfter: HOUR });
    const slow = await ada.visit(() => ada.visit(signOut));
    expect(slow).toMatchObject({ status: 200 });
    expect(await isStored()).toBe(false);
    expect(await seenBy(ada)).toEqual({});
  });

  test("neither does one that gives the session another life", async () => {
    const { ada, gone, handle, isStored } = await browse(framework, nc, { settings: { maxAge: HOUR } });
    const slow = await ada.visit(async ({ setMaxAge }) => {
      await ada.visit(signOut);
      setMaxAge(2 * HOUR);
    });
    expect(slow).toMatchObject({ status: 200 });
    expect(gone).toMatchObject([{ handle }]);
    expect(await isStored()).toBe(false);
    expect(await seenBy(ada)).toEqual({});
  });

  test("neither do several, whatever they were doing", async () => {
    const { ada, app, gone, isStored } = await browse(framework, nc, { data: { a: 1 } });
    const allLoaded = meeting(4);
    const signedOut = meeting(4);
    const slow = [change({ a: 2 }), change({ b: 1 }), change({ a: undefined })].map((step) =>
      ada.visit(async (visit) => {
        await allLoaded();
        await signedOut();
        step(visit);
      }),
    );
    await allLoaded();
    await ada.visit(signOut);
    signedOut();
    expect((await Promise.all(slow)).map(({ status }) => status)).toEqual([200, 200, 200]);
    expect(gone).toHaveLength(3);
    expect(await isStored()).toBe(false);
    expect(await seenBy(ada)).toEqual({});
    expect(app.failures).toEqual([]);
  });

  test("neither does one whose handler throws", async () => {
    const { ada, gone, handle, isStored } = await browse(framework, nc);
    const slow = await ada.visit(async (visit) => {
      change({ a: 1 })(visit);
      await ada.visit(signOut);
      throw new Error("a mistake of the application");
    });
    expect(slow).toMatchObject({ status: 500 });
    expect(gone).toEqual([{ handle, operation: "save" }]);
    expect(await isStored()).toBe(false);
    expect(await seenBy(ada)).toEqual({});
  });

  test("neither does one that takes longer than the session lives", async () => {
    await withinLife(2000, async (maxAge) => {
      const { ada, app, store, id, gone, handle, isStored } = await browse(framework, nc, {
        settings: { maxAge },
      });
      const slow = await ada.visit(async (visit) => {
        const isInTime = visit.session.user === "ada";
        await untilTime((await store.sessions.load(id))?.expiresAt ?? 0);
        change({ a: 1 })(visit);
        return isInTime;
      });
      expect(slow).toMatchObject({ status: 200 });
      if (!slow.result) return false;
      expect(gone).toEqual([{ handle, operation: "save" }]);
      expect(await isStored()).toBe(false);
      expect(await seenBy(ada)).toEqual({});
      expect(app.failures).toEqual([]);
      return true;
    });
  });

  test("a slow sign-out ends the session, whatever others have stored meanwhile", async () => {
    const { ada, gone, isStored } = await browse(framework, nc, { data: { a: 1 } });
    const slow = await ada.visit(async (visit) => {
      await ada.visit(change({ a: 2 }));
      await signOut(visit);
    });
    expect(slow).toMatchObject({ status: 200 });
    expect(await isStored()).toBe(false);
    expect(await seenBy(ada)).toEqual({});
    expect(gone).toEqual([]);
  });

  test("signing out of what is signed out already is no error", async () => {
    const { ada, app, isStored } = await browse(framework, nc);
    const oldCookie = ada.copy();
    const slow = await ada.visit(async (visit) => {
      await ada.visit(signOut);
      await signOut(visit);
    });
    expect(slow).toMatchObject({ status: 200 });
    expect(await oldCookie.visit(signOut)).toMatchObject({ status: 200 });
    expect(await isStored()).toBe(false);
    expect(app.failures).toEqual([]);
  });

  test.each([1, 10])(
    "a request that leaves %s saves of its own unawaited and signs out ends it",
    async (count) => {
      const { ada, isStored } = await browse(framework, nc);
      const saves: Promise<unknown>[] = [];
      const answer = await ada.visit((visit) => {
        for (const n of numbers(count)) {
          change({ a: n })(visit);
          saves.push(Promise.allSettled([visit.save()]));
        }
        return signOut(visit);
      });
      expect(answer).toMatchObject({ status: 200 });
      await Promise.all(saves);
      expect(await isStored()).toBe(false);
      expect(await seenBy(ada)).toEqual({});
    },
  );

  test("a request that begins a session, leaves a save unawaited and signs out leaves nothing", async () => {
    const { app, store } = await browse(framework, nc);
    const saves: Promise<unknown>[] = [];
    const before = await store.sessions.count({ exact: true });
    await app.visitor().visit((visit) => {
      change({ user: "grace" })(visit);
      saves.push(Promise.allSettled([visit.save()]));
      return signOut(visit);
    });
    await Promise.all(saves);
    expect(await store.sessions.count({ exact: true })).toBe(before);
  });

  test("two that sign out at the same moment both succeed", async () => {
    const { ada, app, gone, isStored } = await browse(framework, nc);
    const bothLoaded = meeting(2);
    const answers = await Promise.all(
      [ada, ada.copy()].map((browser) =>
        browser.visit(async (visit) => {
          await bothLoaded();
          await signOut(visit);
        }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(await isStored()).toBe(false);
    expect(await seenBy(ada)).toEqual({});
    expect(app.failures).toEqual([]);
    expect(gone).toEqual([]);
  });

  test("one that changes and one that signs out at the same moment: the session is ended", async () => {
    const { ada, app, isStored } = await browse(framework, nc);
    const bothLoaded = meeting(2);
    const answers = await Promise.all(
      [change({ a: 1 }), signOut].map((step) =>
        ada.copy().visit(async (visit) => {
          await bothLoaded();
          await step(visit);
        }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual([200, 200]);
    expect(await isStored()).toBe(false);
    expect(await seenBy(ada)).toEqual({});
    expect(app.failures).toEqual([]);
  });
});

/** A step that signs in, under a new id. */
const signInAs = (user: string) => async (visit: Visit) => {
  await visit.regenerate();
  change({ user })(visit);
};

describe.each(frameworks)("signing in to $name while other requests are under way", (framework) => {
  test("the old id stays ended, and the new one has the login and nothing of the slow request", async () => {
    const { ada, app, id, gone, handle, isStored } = await browse(framework, nc);
    // A browser of its own: both frameworks send the slow request's old cookie again, late.
    const newLogin = ada.copy();
    const slow = await ada.visit(async (visit) => {
      change({ a: 1 })(visit);
      expect(await newLogin.visit(signInAs("grace"))).toMatchObject({ status: 200 });
    });
    expect(slow).toMatchObject({ status: 200 });
    expect(gone).toEqual([{ handle, operation: "save" }]);
    expect(await isStored()).toBe(false);
    expect(await seenBy(ada)).toEqual({});
    expect(framework.idOf(newLogin)).not.toBe(id);
    expect(await seenBy(newLogin)).toEqual({ user: "grace" });
    expect(app.failures).toEqual([]);
  });

  test("a slow sign-in takes effect although the old session was ended meanwhile", async () => {
    const { ada, id, isStored } = await browse(framework, nc);
    const slow = await ada.visit(async (visit) => {
      await ada.copy().visit(signOut);
      await signInAs("grace")(visit);
    });
    expect(slow).toMatchObject({ status: 200 });
    expect(await isStored()).toBe(false);
    expect(framework.idOf(ada)).not.toBe(id);
    expect(await seenBy(ada)).toEqual({ user: "grace" });
  });

  test("two sign-ins at the same moment are two sessions", async () => {
    const { ada, app, isStored } = await browse(framework, nc);
    const bothLoaded = meeting(2);
    const [one, two] = [ada.copy(), ada.copy()];
    await Promise.all(
      [one, two].map((browser, n) =>
        browser.visit(async (visit) => {
          await bothLoaded();
          await signInAs(`user ${n}`)(visit);
        }),
      ),
    );
    expect(await isStored()).toBe(false);
    expect(await seenBy(one)).toEqual({ user: "user 0" });
    expect(await seenBy(two)).toEqual({ user: "user 1" });
    expect(framework.idOf(one)).not.toBe(framework.idOf(two));
    expect(app.failures).toEqual([]);
  });

  test("an application that gives the same id again: the new session gets nothing of the old one", async () => {
    const settings: Settings & { genid(): string } = { genid: () => "always the same" };
    const { ada, gone, handle } = await browse(framework, nc, { settings });
    await ada.visit(async (visit) => {
      change({ a: 1 })(visit);
      await ada.visit(signInAs("grace"));
    });
    expect(await seenBy(ada)).toEqual({ user: "grace" });
    expect(gone).toEqual([{ handle, operation: "save" }]);
  });
});
