import { setTimeout as sleep } from "node:timers/promises";
import { scenarios as overlaps } from "../../overlaps/scenarios.mjs";

const HOUR = 3_600_000;

/** Long enough for a busy machine to keep to the times of the scenario. */
const SHORT_LIFE = 4000;

/** Of each key that should be there and is not: that it was lost. */
function lost(found, expected) {
  if (!found) return "lost the session";
  const keys = Object.keys({ ...found, ...expected }).filter((key) => found[key] !== expected[key]);
  return keys.length === 0 ? undefined : `lost ${keys.join(", ")}`;
}

/** A scenario of the tests; what it expects is what is compared. */
function compared({ name, data, play, left, ended }) {
  return {
    name,
    run: async (site) => {
      const browser = await site.signIn(data);
      const old = browser.copy();
      const seen = (await play(browser)) ?? browser;
      if (ended && (await old.look())) return "revived the session";
      return left === null ? undefined : lost(await seen.look(), { user: "ada", ...left });
    },
  };
}

/**
 * Through Express: requests of one browser that overlap, and what else stores get wrong. A scenario gives what went
 * wrong, in a few words, or nothing.
 *
 * @typedef {object} Scenario
 * @property {string} name
 * @property {number} [maxAge]
 * @property {boolean} [overlaps] false for what goes wrong without any overlap
 * @property {(site: import("./site.mjs").Site, store: import("express-session").Store) => Promise<string | undefined>} run
 *
 * @type {Scenario[]}
 */
export const scenarios = [
  ...overlaps.filter((scenario) => scenario.compared).map(compared),
  {
    name: "`save()` in a session that is older than its maxAge, and active",
    overlaps: false,
    maxAge: SHORT_LIFE,
    run: async (site) => {
      const browser = await site.signIn();
      for (const step of [() => {}, ({ save }) => save()]) {
        await sleep(0.6 * SHORT_LIFE);
        await browser.send(step);
      }
      return lost(await browser.look(), { user: "ada" });
    },
  },
  {
    name: "a callback throws",
    overlaps: false,
    run: async (_site, store) => {
      let calls = 0;
      const caught = new Promise((resolve) => {
        process.once("uncaughtException", resolve);
        process.once("unhandledRejection", resolve);
      });
      const called = store.get("nobody", () => {
        calls++;
        throw new Error("of the callback");
      });
      await Promise.race([caught, called?.catch?.(() => {})].filter(Boolean));
      await sleep(50);
      process.removeAllListeners("uncaughtException").removeAllListeners("unhandledRejection");
      return calls === 1 ? undefined : `called it ${calls} times`;
    },
  },
].map((scenario) => ({ maxAge: HOUR, overlaps: true, ...scenario }));
