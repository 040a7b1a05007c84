import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Connection, connectCurrent } from "../../support/variants.js";
import { untilTime } from "../../support/wait.js";
import { stopApps } from "../support/app.js";
import type { Framework } from "../support/framework.js";
import { Gate } from "../support/gate.js";
import { MovingSite, RELEASES, type Release } from "../support/moving-site.js";
import { type OldDatabase, startOldStore } from "../support/old-stores.js";
import type { Visit } from "../support/visit.js";
import type { Visitor } from "../support/visitor.js";

type Data = Record<string, unknown>;

const set =
  (data: Data) =>
  ({ session }: Visit) => {
    for (const [key, value] of Object.entries(data)) {
      if (value === undefined) delete session[key];
      else session[key] = value;
    }
  };

const HOUR = 3_600_000;

/** Releases whose processes know this store. */
const NEW = RELEASES.filter((release) => release !== "old");

/** Two releases whose processes may run at the same time, in both orders. */
const NEIGHBOURS = RELEASES.slice(1).flatMap((release, n) => {
  const before = RELEASES[n] as Release;
  return [
    [before, release],
    [release, before],
  ] as [Release, Release][];
});

/** The same specification for each old store and its framework. */
// biome-ignore lint/suspicious/noExplicitAny: any of the frameworks
export function specifyReleases(framework: Framework<any, any, any>, names: readonly string[]): void {
  for (const name of names) {
    describe(`sessions that move from ${name}`, () => {
      let database: OldDatabase | undefined;
      let nc: Connection;
      beforeAll(async () => {
        [database, nc] = await Promise.all([startOldStore(name), connectCurrent()]);
      });
      afterAll(async () => {
        await stopApps();
        await nc.close();
        await database?.stop();
      });
      const open = (): MovingSite | undefined => {
        if (!database) return undefined;
        const site = new MovingSite(framework, nc, database);
        onTestFinished(() => site.close());
        return site;
      };
      specify(open);
    });
  }
}

function specify(open: () => MovingSite | undefined): void {
  /** Runs a test where the old store's database is on this machine. */
  const check = (title: string, run: (site: MovingSite) => Promise<void>) =>
    test(title, async ({ skip }) => {
      const site = open();
      if (!site) return skip();
      await run(site);
    });

  const signedIn = async (site: MovingSite, data: Data = {}, release: Release = "old") => {
    const visitor = (await site.app(release)).visitor();
    await visitor.visit(set({ user: "ada", ...data }));
    return visitor;
  };

  /** A request that has loaded its session when `within` begins, and does `step` after that. */
  const around = async (
    site: MovingSite,
    visitor: Visitor<Visit>,
    release: Release,
    within: () => Promise<unknown>,
    step: (visit: Visit) => unknown,
  ) => {
    const [loaded, goOn] = [new Gate(), new Gate()];
    const slow = visitor.copy(await site.app(release)).visit(async (visit) => {
      // koa-session loads before; express-session, too.
      loaded.open();
      await goOn.opened;
      return step(visit);
    });
    await loaded.opened;
    await within();
    goOn.open();
    expect((await slow).status).toBe(200);
  };

  describe("each release", () => {
    for (const release of NEW.filter((one) => one !== "new")) {
      check(
        `a process of ${release} goes on with a session of the old store, and ends it in both`,
        async (site) => {
          const browser = await signedIn(site, { cart: ["a book"] });
          const id = site.idOf(browser);
          expect(await site.look(browser, release)).toEqual({ user: "ada", cart: ["a book"] });
          const store = await site.store(release);
          expect((await store.sessions.load(id)).expiresAt).toBeGreaterThan(Date.now() + 3_500_000);
          await browser.copy(await site.app(release)).visit(({ destroy }) => destroy());
          expect(await store.sessions.load(id)).toBeNull();
          for (const other of RELEASES) expect(await site.look(browser, other)).toBeUndefined();
        },
      );

      check(`a process of ${release} that ends a session it never met leaves a tombstone`, async (site) => {
        const browser = await signedIn(site);
        const id = site.idOf(browser);
        await around(
          site,
          browser,
          "old",
          async () => (await site.store(release)).destroy(id),
          set({ cart: "late" }),
        );
        expect(await site.look(browser, release)).toBeUndefined();
      });

      check(
        `requests to ${release} that meet a session of the old store at once all get it`,
        async (site) => {
          const browser = await signedIn(site);
          const app = await site.app(release);
          const keys = ["a", "b", "c", "d", "e"];
          await Promise.all(keys.map((key) => browser.copy(app).visit(set({ [key]: 1 }))));
          expect(await site.look(browser, release)).toEqual({ user: "ada", a: 1, b: 1, c: 1, d: 1, e: 1 });
        },
      );
    }
  });

  describe("while processes of the release before run", () => {
    check(
      "a session that has expired here lives on where only old processes have renewed it",
      async (site) => {
        const browser = await signedIn(site, { cart: 1 });
        await site.look(browser, "old-first");
        const { sessions } = await site.store("old-first");
        const { record } = await sessions.save(site.idOf(browser), { user: "ada" }, { ttl: 20 });
        await untilTime(record.expiresAt);
        expect(await site.look(browser, "old-first")).toEqual({ user: "ada", cart: 1 });
        expect(await site.look(browser, "old")).toEqual({ user: "ada", cart: 1 });
      },
    );

    check("a maxAge that either side changes counts for both", async (site) => {
      const browser = await signedIn(site);
      const ageAt = async (release: Release) => {
        const store = await site.store("old-first");
        await browser.copy(await site.app(release)).visit();
        const { expiresAt } = await store.sessions.load(site.idOf(browser));
        return (expiresAt - Date.now()) / HOUR;
      };
      await browser.copy(await site.app("old-first")).visit(({ setMaxAge }) => setMaxAge(3 * HOUR));
      expect(await ageAt("old-first")).toBeGreaterThan(2.9);
      await browser.copy(await site.app("old")).visit((visit) => {
        visit.setMaxAge(5 * HOUR);
        visit.session.changed = true;
      });
      await browser.copy(await site.app("old-first")).visit(set({ a: 1 }));
      expect(await ageAt("old-first")).toBeGreaterThan(4.9);
      expect(await site.look(browser, "old")).toEqual({ user: "ada", changed: true, a: 1 });
    });
  });

  describe("processes of two releases at a time", () => {
    for (const [one, other] of NEIGHBOURS) {
      check(`of ${one} and ${other}, each sees what the other has changed`, async (site) => {
        const browser = await signedIn(site, {}, one);
        const at = async (release: Release, data: Data) =>
          browser.copy(await site.app(release)).visit(set(data));
        await at(other, { a: 1 });
        expect(await site.look(browser, one)).toEqual({ user: "ada", a: 1 });
        await at(one, { a: 2, b: 1 });
        expect(await site.look(browser, other)).toEqual({ user: "ada", a: 2, b: 1 });
        await at(other, { b: undefined, c: 1 });
        expect(await site.look(browser, one)).toEqual({ user: "ada", a: 2, c: 1 });
        await at(one, { a: 1 });
        await at(other, { a: 2 });
        expect(await site.look(browser, one)).toEqual({ user: "ada", a: 2, c: 1 });
      });

      check(`of ${one} and ${other}, a slow request of ${one} loses nothing of ${other}`, async (site) => {
        const browser = await signedIn(site, { first: 1 });
        // As it is after a deployment: both have met the session.
        await site.look(browser, one);
        await site.look(browser, other);
        await around(
          site,
          browser,
          one,
          async () => browser.copy(await site.app(other)).visit(set({ quick: 1, first: undefined })),
          set({ slow: 1 }),
        );
        const seenBy = one === "old" ? other : one;
        expect(await site.look(browser, seenBy)).toEqual({ user: "ada", quick: 1, slow: 1 });
        // What an old process sees, once a new one has met the session.
        expect(await site.look(browser, other)).toEqual({ user: "ada", quick: 1, slow: 1 });
        expect(await site.look(browser, one)).toEqual({ user: "ada", quick: 1, slow: 1 });
      });

      check(
        `of ${one} and ${other}, a session that ${other} ends stays ended for a slow request of ${one}`,
        async (site) => {
          const browser = await signedIn(site);
          await site.look(browser, one);
          await site.look(browser, other);
          await around(
            site,
            browser,
            one,
            async () => browser.copy(await site.app(other)).visit(({ destroy }) => destroy()),
            set({ slow: 1 }),
          );
          // An old process has written it again in the old store, until a new one meets it there.
          for (const release of [one, other].sort((a) => (a === "old" ? 1 : -1))) {
            expect(await site.look(browser, release)).toBeUndefined();
          }
        },
      );

      check(`of ${one} and ${other}, a new id counts for both, and the old one for neither`, async (site) => {
        const browser = await signedIn(site, { a: 1 });
        const before = browser.copy();
        await site.look(browser, one);
        const renewed = browser.copy(await site.app(other));
        await renewed.visit(async ({ regenerate, session: { a } }) => {
          await regenerate();
          return a;
        });
        await renewed.visit(set({ user: "ada", b: 1 }));
        expect(site.idOf(renewed)).not.toBe(site.idOf(before));
        for (const release of [one, other]) {
          expect(await site.look(before, release)).toBeUndefined();
          expect(await site.look(renewed, release)).toMatchObject({ user: "ada", b: 1 });
        }
      });
    }
  });
}
