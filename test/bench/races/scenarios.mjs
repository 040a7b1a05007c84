import { setTimeout as sleep } from "node:timers/promises";
import { destroy, regenerate, save } from "./site.mjs";

const HOUR = 3_600_000;

/** Long enough for a busy machine to keep to the times of the scenario. */
const SHORT_LIFE = 4000;

const nothing = () => {};

const putIntoCart = ({ session }) => {
  session.cart = "a book";
};

const signInAsBob = async (req) => {
  await regenerate(req);
  req.session.user = "bob";
};

/** Of each key that should be there and is not: that it was lost. */
function lost(found, expected) {
  if (!found) return "lost the session";
  const keys = Object.keys(expected).filter((key) => found[key] !== expected[key]);
  return keys.length === 0 ? undefined : `lost ${keys.join(", ")}`;
}

/** That a session which is to be over is not. */
async function revived(site, cookie) {
  return (await site.look(cookie)) ? "revived the session" : undefined;
}

/**
 * Requests of one browser that overlap, through Express. A scenario gives what went wrong, in a few words, or
 * nothing when all is as it should be.
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
  {
    name: "two requests change different keys",
    run: async (site) => {
      const browser = await site.signIn();
      const slow = await browser.begin(putIntoCart);
      await browser.send(({ session }) => {
        session.theme = "dark";
      });
      await slow.end();
      return lost(await browser.look(), { cart: "a book", theme: "dark" });
    },
  },
  {
    name: "two requests count in the same key",
    run: async (site) => {
      const count = ({ session }) => {
        session.visits++;
      };
      const browser = await site.signIn({ visits: 0 });
      const slow = await browser.begin(count);
      await browser.send(count);
      await slow.end();
      return lost(await browser.look(), { visits: 2 });
    },
  },
  {
    name: "a slow request only reads, another writes",
    run: async (site) => {
      const browser = await site.signIn();
      const slow = await browser.begin(nothing);
      await browser.send(putIntoCart);
      await slow.end();
      return lost(await browser.look(), { cart: "a book" });
    },
  },
  {
    name: "sign-out while a request only reads",
    run: async (site) => {
      const browser = await site.signIn();
      const { cookie } = browser;
      const slow = await browser.begin(nothing);
      await browser.send(destroy);
      await slow.end();
      return revived(site, cookie);
    },
  },
  {
    name: "sign-out while a request writes",
    run: async (site) => {
      const browser = await site.signIn();
      const { cookie } = browser;
      const slow = await browser.begin(putIntoCart);
      await browser.send(destroy);
      await slow.end();
      return revived(site, cookie);
    },
  },
  {
    name: "sign-in with a new id while a request writes",
    run: async (site) => {
      const browser = await site.signIn();
      const { cookie } = browser;
      const slow = await browser.begin(putIntoCart);
      await browser.send(signInAsBob);
      await slow.end();
      return (await revived(site, cookie)) ?? lost(await browser.look(), { user: "bob" });
    },
  },
  {
    name: "a job saves its session after the sign-out",
    run: async (site) => {
      const browser = await site.signIn();
      const { cookie } = browser;
      let job;
      await browser.send(({ session }) => {
        job = { session };
      });
      await browser.send(destroy);
      job.session.report = "ready";
      await save(job);
      return revived(site, cookie);
    },
  },
  {
    name: "one tab signs out and in, the other writes",
    run: async (site) => {
      const browser = await site.signIn();
      const { cookie } = browser;
      const slow = await browser.begin(putIntoCart);
      await browser.send(destroy);
      await browser.send(signInAsBob);
      await slow.end();
      return (await revived(site, cookie)) ?? lost(await browser.look(), { user: "bob", cart: undefined });
    },
  },
  {
    name: "`save()` in a session that is older than its maxAge, and active",
    overlaps: false,
    maxAge: SHORT_LIFE,
    run: async (site) => {
      const browser = await site.signIn();
      for (const action of [nothing, save]) {
        await sleep(0.6 * SHORT_LIFE);
        await browser.send(action);
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
