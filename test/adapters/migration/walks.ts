import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { randomFrom } from "../../support/random.js";
import { type Connection, connectCurrent } from "../../support/variants.js";
import { stopApps } from "../support/app.js";
import type { Framework } from "../support/framework.js";
import { MovingSite, type Release } from "../support/moving-site.js";
import { type OldDatabase, startOldStore } from "../support/old-stores.js";
import type { Visit } from "../support/visit.js";
import type { Visitor } from "../support/visitor.js";

/** The same walk each time; another one by SESSION_TEST_SEED. */
const seed = Number(process.env.SESSION_TEST_SEED ?? 1);

const BROWSERS = 5;
const REQUESTS = 20;
const KEYS = ["a", "b", "c"];

/** A browser, and what its session must hold; `undefined` = it is signed out. */
interface Followed {
  readonly visitor: Visitor<Visit>;
  data: Record<string, unknown> | undefined;
}

/** Which releases run at the same time, one stage after the other. */
const deployments: Record<string, readonly (readonly Release[])[]> = {
  forward: [
    ["old"],
    ["old", "old-first"],
    ["old-first"],
    ["old-first", "new-first"],
    ["new-first"],
    ["new-first", "new-only"],
    ["new-only", "new"],
    ["new-only"],
  ],
  "forward to new-first and back to the release before": [
    ["old"],
    ["old", "old-first"],
    ["old-first", "new-first"],
    ["new-first"],
    ["new-first", "old-first"],
    ["old-first", "old"],
    ["old"],
  ],
};

/** Random requests of browsers to processes of all releases that run, and sign-outs at any of them. */
// biome-ignore lint/suspicious/noExplicitAny: any of the frameworks
export function specifyWalks(framework: Framework<any, any, any>, names: readonly string[]): void {
  describe.each(names)("a migration from %s", (name) => {
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

    for (const [title, stages] of Object.entries(deployments)) {
      test(`${title} loses no change, signs nobody out and brings nobody back (seed ${seed})`, async ({
        skip,
      }) => {
        if (!database) return skip();
        const site = new MovingSite(framework, nc, database);
        onTestFinished(() => site.close());
        await walk(site, stages);
      });
    }
  });
}

async function walk(site: MovingSite, stages: readonly (readonly Release[])[]): Promise<void> {
  const random = randomFrom(seed);
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const browsers: Followed[] = [];
  for (const releases of stages) {
    for (let n = browsers.filter(({ data }) => data).length; n < BROWSERS; n++) {
      const browser = { visitor: await site.visitor(), data: { user: `user ${n}` } };
      await browser.visitor.visit(
        ({ session }) => {
          session.user = `user ${n}`;
        },
        await site.app(pick(releases)),
      );
      browsers.push(browser);
    }
    for (let n = 0; n < REQUESTS; n++) await request(site, pick(browsers), pick(releases), random, pick);
    for (const { visitor, data } of browsers) {
      expect(await site.look(visitor, pick(releases)), releases.join(" and ")).toEqual(data);
    }
  }
}

async function request(
  site: MovingSite,
  browser: Followed,
  release: Release,
  random: () => number,
  pick: <T>(list: readonly T[]) => T,
): Promise<void> {
  const { visitor, data } = browser;
  if (!data) {
    expect(await site.look(visitor, release), release).toBeUndefined();
    return;
  }
  const app = await site.app(release);
  const [key, value, kind] = [pick(KEYS), Math.floor(random() * 1000), random()];
  if (kind < 0.15) {
    // The cookie of before stays with the browser: it must be worth nothing.
    await visitor.copy(app).visit(({ destroy }) => destroy());
    browser.data = undefined;
  } else if (kind < 0.4) {
    expect(await site.look(visitor, release), release).toEqual(data);
  } else if (kind < 0.6) {
    await visitor.copy(app).visit(({ session }) => {
      delete session[key];
    });
    const { [key]: _removed, ...rest } = data;
    browser.data = rest;
  } else {
    await visitor.copy(app).visit(({ session }) => {
      session[key] = value;
    });
    browser.data = { ...data, [key]: value };
  }
}
