import { rotate } from "connect-nats";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { type Connection, connectCurrent } from "../../support/variants.js";
import type { ExpressVisit } from "../support/express.js";
import { expressFramework } from "../support/express.js";
import { MovingSite } from "../support/moving-site.js";
import { type OldDatabase, startOldStore } from "../support/old-stores.js";
import type { Visit } from "../support/visit.js";
import { specifyReleases } from "./releases.js";

specifyReleases(expressFramework, ["connect-redis", "connect-pg-simple"]);

describe("rotate, while sessions move from connect-redis", () => {
  let database: OldDatabase | undefined;
  let nc: Connection;
  beforeAll(async () => {
    [database, nc] = await Promise.all([startOldStore("connect-redis"), connectCurrent()]);
  });
  afterAll(async () => {
    await nc.close();
    await database?.stop();
  });

  const renew = (visit: Visit) => rotate((visit as ExpressVisit).req);

  test.for(["old-first", "new-first", "new-only"] as const)(
    "gives a session a new id in both stores, in the phase %s",
    async (phase, { skip }) => {
      if (!database) return skip();
      const site = new MovingSite(expressFramework, nc, database);
      onTestFinished(() => site.close());
      const browser = await site.visitor();
      await browser.visit(({ session }) => Object.assign(session, { user: "ada", cart: 1 }));
      const before = browser.copy();
      const after = browser.copy(await site.app(phase));
      expect((await after.visit(renew)).status).toBe(200);
      expect(site.idOf(after)).not.toBe(site.idOf(before));
      for (const release of [phase, "old"] as const) {
        expect(await site.look(before, release)).toBeUndefined();
        if (release === "old" && phase === "new-only") continue;
        expect(await site.look(after, release)).toEqual({ user: "ada", cart: 1 });
      }
    },
  );

  test("leaves a session ended that an old process has ended meanwhile", async ({ skip }) => {
    if (!database) return skip();
    const site = new MovingSite(expressFramework, nc, database);
    onTestFinished(() => site.close());
    const browser = await site.visitor();
    await browser.visit(({ session }) => Object.assign(session, { user: "ada" }));
    const old = await site.app("old");
    const after = browser.copy(await site.app("old-first"));
    await after.visit(async (visit) => {
      await browser.copy(old).visit(({ destroy }) => destroy());
      await renew(visit);
    });
    for (const release of ["old", "old-first"] as const) {
      expect(await site.look(browser, release)).toBeUndefined();
      expect(await site.look(after, release)).toBeUndefined();
    }
  });
});
