// What overlapping requests of one browser change. See scenarios.d.mts for what each field means.
import { change, meeting, numbers, sum } from "./steps.mjs";

const HOUR = 3_600_000;

/** A slow request that changes something, within which a fast one does. */
const overlap = (slow, fast) => (browser) =>
  browser.send(async (request) => {
    await change(slow)(request);
    await browser.send(change(fast));
  });

/** As many requests as wanted that have all loaded the session before one of them goes on. */
const together = async (browser, count, act) => {
  const allLoaded = meeting(count);
  const step = (n) => async (request) => {
    await allLoaded();
    await act(request, n);
  };
  await Promise.all(numbers(count).map((n) => browser.send(step(n))));
};

const key = (n) => ({ [`key${n}`]: n });
const tenKeys = Object.assign({}, ...numbers(10).map(key));

/** @type {import("./scenarios.d.mts").Scenario[]} */
export const changes = [
  {
    name: "two requests change different keys",
    holds: "both changes are kept",
    compared: true,
    data: { cart: "empty", theme: "light" },
    play: overlap({ cart: "a book" }, { theme: "dark" }),
    left: { cart: "a book", theme: "dark" },
  },
  {
    name: "the slow request changes the session after the fast one was answered",
    holds: "both changes are kept",
    data: { a: 1, b: 1 },
    play: (browser) =>
      browser.send(async (request) => {
        await browser.send(change({ b: 2 }));
        change({ a: 2 })(request);
      }),
    left: { a: 2, b: 2 },
  },
  {
    name: "each of two requests removes a key and adds one",
    holds: "both keys stay removed and both additions are there",
    data: { mine: 1, yours: 1, kept: 1 },
    play: overlap({ mine: undefined, added: "slow" }, { yours: undefined, alsoAdded: "fast" }),
    left: { kept: 1, added: "slow", alsoAdded: "fast" },
  },
  {
    name: "two requests change the same key",
    holds: "the last to finish wins the whole value",
    data: { cart: { apples: 1 }, slowRemoves: 1, fastRemoves: 1 },
    play: overlap(
      { cart: { apples: 1, pears: 1 }, slowRemoves: undefined, fastRemoves: 2 },
      { cart: { apples: 5 }, slowRemoves: 2, fastRemoves: undefined },
    ),
    left: { cart: { apples: 1, pears: 1 }, fastRemoves: 2 },
  },
  {
    name: "three requests overlap, each within the other",
    holds: "every change is kept",
    data: { a: 1, b: 1, c: 1, d: 1 },
    play: (browser) =>
      browser.send(async (slowest) => {
        change({ a: 2 })(slowest);
        await browser.send(async (slow) => {
          change({ b: undefined })(slow);
          await browser.send(change({ c: 3, e: 3 }));
        });
        await browser.send(change({ d: 4 }));
      }),
    left: { a: 2, c: 3, d: 4, e: 3 },
  },
  {
    name: "ten requests load the session at the same moment and add a key each",
    holds: "all ten keys are there",
    play: (browser) => together(browser, 10, (request, n) => change(key(n))(request)),
    left: tenKeys,
  },
  {
    name: "a request saves in its middle and goes on",
    holds: "its later saves neither drop nor restore what others changed",
    data: { a: 1, b: 1, shared: 1 },
    play: (browser) =>
      browser.send(async (request) => {
        change({ a: 2, mistake: true })(request);
        await browser.send(change({ b: 2, theirs: 1, shared: 2 }));
        await request.save();
        // It has never seen `theirs`: the next save does not mean to remove it.
        change({ a: 3, mistake: undefined })(request);
        await browser.send(change({ theirs: undefined, more: 1 }));
        await request.save();
        change({ a: 4 })(request);
      }),
    left: { a: 4, b: 2, shared: 2, more: 1 },
  },
  {
    name: "a slow request only reads, another writes",
    holds: "nothing old is written over what is new",
    compared: true,
    data: { cart: "empty" },
    play: overlap({}, { cart: "a book" }),
    left: { cart: "a book" },
  },
  {
    name: "a slow request only renews the session, another writes",
    holds: "nothing old is written over what is new",
    data: { a: 1 },
    settings: { rolling: true, maxAge: HOUR },
    play: overlap({}, { a: 2 }),
    left: { a: 2 },
    ttl: HOUR,
  },
  ...[10 * HOUR, 60_000].flatMap((ttl) =>
    [false, true].map((saves) => ({
      name: `a fast request sets a maxAge of ${ttl} ms and the slow one saves ${saves ? "in its middle" : "at its end"}`,
      holds: "the new maxAge stays",
      only: ["express-session", "koa-session"],
      settings: { maxAge: HOUR },
      play: (browser) =>
        browser.send(async (request) => {
          change({ a: 1 })(request);
          await browser.send(({ setMaxAge }) => setMaxAge(ttl));
          if (saves) await request.save();
        }),
      left: { a: 1 },
      ttl,
    })),
  ),
  {
    name: "the handler of the slow request throws",
    holds: "its error is the answer and both changes are kept",
    only: ["express-session", "koa-session"],
    data: { a: 1, b: 1 },
    play: (browser) =>
      browser.send(async (request) => {
        change({ a: 2 })(request);
        await browser.send(change({ b: 2 }));
        throw new Error("a mistake of the application");
      }),
    left: { a: 2, b: 2 },
    failures: [{ message: "a mistake of the application" }],
  },
  {
    name: "the handler of the fast request throws",
    holds: "the slow one keeps its change and the fast one's",
    only: ["express-session", "koa-session"],
    data: { a: 1, b: 1 },
    play: (browser) =>
      browser.send(async (request) => {
        change({ a: 2 })(request);
        await browser.send((other) => {
          change({ b: 2 })(other);
          throw new Error("a mistake of the application");
        });
      }),
    left: { a: 2, b: 2 },
    failures: [{ message: "a mistake of the application" }],
  },
  {
    name: "one request saves its session object several times at the same time",
    holds: "its saves do not conflict with each other",
    only: ["express-session", "koa-session"],
    options: { onConflict: "error" },
    play: (browser) =>
      browser.send(async (request) => {
        const saves = numbers(10).map((n) => {
          change({ ...key(n), last: n })(request);
          return request.save();
        });
        await Promise.all(saves);
      }),
    left: { ...tenKeys, last: 10 },
  },
  {
    name: "one request saves several times, one after the other",
    holds: "its saves do not conflict with each other",
    options: { onConflict: "error" },
    play: (browser) =>
      browser.send(async (request) => {
        for (const n of numbers(5)) {
          change({ last: n })(request);
          await request.save();
        }
      }),
    left: { last: 5 },
  },
  {
    name: "the request that begins a session saves it several times",
    holds: "there is one session with everything",
    only: ["express-session", "koa-session"],
    options: { onConflict: "error" },
    data: null,
    play: (browser) =>
      browser.send(async (request) => {
        change({ user: "ada" })(request);
        await request.save();
        change({ a: 1 })(request);
        await request.save();
        change({ b: 1 })(request);
      }),
    left: { a: 1, b: 1 },
    count: 1,
  },
  {
    name: "several saves of one request overlap another request",
    holds: "all of them keep what the other one changed",
    only: ["express-session", "koa-session"],
    data: { b: 1 },
    play: (browser) =>
      browser.send(async (request) => {
        await browser.send(change({ b: 2, theirs: 1 }));
        const saves = numbers(5).map((n) => {
          change({ a: n })(request);
          return request.save();
        });
        await Promise.all(saves);
      }),
    left: { a: 5, b: 2, theirs: 1 },
  },
  {
    name: "two requests count in the same key",
    holds: "`resolve` adds both increments up",
    compared: true,
    data: { visits: 0 },
    options: { resolve: sum },
    play: (browser) =>
      browser.send(async (request) => {
        request.session.visits++;
        await browser.send(({ session }) => void session.visits++);
      }),
    left: { visits: 2 },
  },
  {
    name: "eight requests count at the same moment, three times over",
    holds: "`resolve` gives the exact sum",
    data: { count: 100 },
    options: { resolve: sum },
    play: async (browser) => {
      for (const _round of numbers(3)) {
        await together(browser, 8, ({ session }, n) => {
          session.count = Number(session.count) + n;
        });
      }
    },
    left: { count: 100 + 3 * 36 },
  },
  {
    name: "five requests count three times each and save more often than that",
    holds: "`resolve` counts each increment once",
    data: { count: 0 },
    options: { resolve: sum },
    play: (browser) =>
      together(browser, 5, async (request) => {
        for (const n of numbers(3)) {
          request.session.count = Number(request.session.count) + 1;
          await request.save();
          if (n > 1) await request.save();
        }
      }),
    left: { count: 15 },
  },
  {
    name: "`resolve` throws",
    holds: "the save fails with its error and stores nothing",
    data: { count: 0, other: 1 },
    options: {
      resolve: () => {
        throw new Error("cannot decide");
      },
    },
    play: overlap({ count: 1 }, { count: 2, other: 2 }),
    left: { count: 2, other: 2 },
    failures: [{ code: "ERR_SESSION_CALLBACK", cause: { message: "cannot decide" } }],
  },
  {
    name: 'two requests change different keys with `onConflict: "overwrite"`',
    holds: "the change of the fast one is lost, so these tests can fail",
    data: { a: 1, b: 1 },
    options: { onConflict: "overwrite" },
    play: overlap({ a: 2 }, { b: 2 }),
    left: { a: 2, b: 1 },
  },
  {
    name: 'two requests change different keys with `onConflict: "error"`',
    holds: "the slow one is refused and stores nothing",
    data: { a: 1, b: 1 },
    options: { onConflict: "error" },
    play: overlap({ a: 2 }, { b: 2 }),
    left: { a: 1, b: 2 },
    failures: [{ code: "ERR_SESSION_CONFLICT" }],
  },
  {
    name: 'another request only renewed the session, with `onConflict: "error"`',
    holds: "that is no conflict",
    options: { onConflict: "error" },
    settings: { rolling: true, maxAge: HOUR },
    play: (browser) =>
      browser.send(async (request) => {
        await browser.send(() => null);
        change({ a: 1 })(request);
      }),
    left: { a: 1 },
  },
];
