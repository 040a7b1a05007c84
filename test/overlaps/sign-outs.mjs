// Sessions that end, or get another id, while other requests of the browser are under way. See scenarios.d.mts.
import { change, meeting, numbers, signInAs, signOut } from "./steps.mjs";

const HOUR = 3_600_000;
const ADAPTERS = ["express-session", "koa-session"];

/** Signs out within a slow request, which does something before and after that. */
const signedOutWithin =
  ({ before = () => {}, after = () => {} }) =>
  (browser) =>
    browser.send(async (request) => {
      await before(request);
      await browser.send(signOut);
      await after(request);
    });

/** @type {import("./scenarios.d.mts").Scenario[]} */
export const signOuts = [
  ...[
    {
      name: "the browser signs out while a request writes",
      compared: true,
      play: signedOutWithin({ before: change({ cart: "a book" }) }),
      gone: ["save"],
    },
    {
      name: "the browser signs out before a slow request writes",
      play: signedOutWithin({ after: change({ cart: "a book" }) }),
      gone: ["save"],
    },
    {
      name: "a request saves before and after the browser signs out",
      play: signedOutWithin({
        before: (request) => {
          change({ a: 1 })(request);
          return request.save();
        },
        after: async (request) => {
          change({ a: 2 })(request);
          await request.save();
          change({ a: 3 })(request);
        },
      }),
      gone: ["save", "save"],
    },
    {
      name: "the browser signs out while a request only reads",
      compared: true,
      play: signedOutWithin({}),
      // express-session touches the session, koa-session does nothing.
      gone: undefined,
    },
    {
      name: "the browser signs out while a request only renews the session",
      settings: { rolling: true, maxAge: HOUR },
      play: signedOutWithin({}),
      // A touch in the millisecond of the last write is skipped before it meets anything.
      gone: undefined,
    },
    {
      name: "the browser signs out while a request is too early to renew the session",
      settings: { rolling: true, maxAge: HOUR },
      options: { touchAfter: HOUR },
      play: signedOutWithin({}),
      gone: undefined,
    },
    {
      name: "the browser signs out while a request changes the maxAge",
      only: ADAPTERS,
      settings: { maxAge: HOUR },
      play: signedOutWithin({ after: ({ setMaxAge }) => setMaxAge(2 * HOUR) }),
      gone: 1,
    },
    {
      name: 'the browser signs out while a request writes with `onConflict: "overwrite"`',
      options: { onConflict: "overwrite" },
      play: signedOutWithin({ before: change({ a: 1 }) }),
      gone: ["save"],
    },
    {
      name: 'the browser signs out while a request writes with `onConflict: "error"`',
      options: { onConflict: "error" },
      play: signedOutWithin({ before: change({ a: 1 }) }),
      gone: ["save"],
    },
    {
      name: "the browser signs out while a request writes whose handler then throws",
      only: ADAPTERS,
      play: signedOutWithin({
        before: change({ a: 1 }),
        after: () => {
          throw new Error("a mistake of the application");
        },
      }),
      gone: ["save"],
      failures: [{ message: "a mistake of the application" }],
    },
    {
      name: "the browser signs out while three requests change, add and remove keys",
      data: { a: 1 },
      play: async (browser) => {
        const [allLoaded, signedOut] = [meeting(4), meeting(4)];
        const slow = [{ a: 2 }, { b: 1 }, { a: undefined }].map((data) =>
          browser.send(async (request) => {
            await allLoaded();
            await signedOut();
            change(data)(request);
          }),
        );
        await allLoaded();
        await browser.send(signOut);
        signedOut();
        await Promise.all(slow);
      },
      gone: ["save", "save", "save"],
    },
    {
      name: "a slow request signs out after another one has written",
      play: (browser) =>
        browser.send(async (request) => {
          await browser.send(change({ a: 2 }));
          await request.signOut();
        }),
    },
    {
      name: "a slow request signs out after another one has signed out",
      play: signedOutWithin({ after: signOut }),
    },
    {
      name: "two requests sign out at the same moment",
      play: async (browser) => {
        const bothLoaded = meeting(2);
        const step = (request) => bothLoaded().then(() => request.signOut());
        await Promise.all([browser.send(step), browser.copy().send(step)]);
      },
    },
    {
      name: "one request writes and another signs out at the same moment",
      play: async (browser) => {
        const bothLoaded = meeting(2);
        const steps = [change({ a: 1 }), signOut];
        await Promise.all(
          steps.map((step) => browser.copy().send((request) => bothLoaded().then(() => step(request)))),
        );
      },
      gone: undefined,
    },
    ...[1, 10].map((count) => ({
      name: `a request signs out without awaiting ${count} of its own saves`,
      only: ADAPTERS,
      play: async (browser) => {
        const saves = [];
        await browser.send((request) => {
          for (const n of numbers(count)) {
            change({ a: n })(request);
            saves.push(Promise.allSettled([request.save()]));
          }
          return request.signOut();
        });
        await Promise.all(saves);
      },
      gone: undefined,
    })),
    {
      name: "a job saves its session after the sign-out",
      compared: true,
      // koa-session's save() also sets the cookie, which is too late then.
      only: ["core", "express-session"],
      play: async (browser) => {
        let job;
        await browser.send((request) => {
          job = { session: request.session, save: request.save };
        });
        await browser.send(signOut);
        job.session.report = "ready";
        await job.save();
      },
      gone: ["save"],
    },
  ].map((scenario) => ({ gone: [], holds: "the session stays ended", left: null, ...scenario })),
  {
    name: "a request begins a session and signs out without awaiting its save",
    holds: "no session is left",
    only: ADAPTERS,
    data: null,
    play: async (browser) => {
      const saves = [];
      await browser.send((request) => {
        change({ user: "ada" })(request);
        saves.push(Promise.allSettled([request.save()]));
        return request.signOut();
      });
      await Promise.all(saves);
    },
    left: null,
    count: 0,
  },
  {
    name: "the browser signs in with a new id while a request writes",
    holds: "the old id stays ended and the new session has nothing of the slow request",
    compared: true,
    play: async (browser) => {
      const login = browser.copy();
      await browser.send(async (request) => {
        change({ cart: "a book" })(request);
        await login.send(signInAs("bob"));
      });
      return login;
    },
    left: { user: "bob" },
    ended: true,
    gone: ["save"],
  },
  {
    name: "one tab signs out and in, the other writes",
    holds: "the old id stays ended and the new session has nothing of the other tab",
    compared: true,
    play: async (browser) => {
      const tab = browser.copy();
      await browser.send(async (request) => {
        change({ cart: "a book" })(request);
        await tab.send(signOut);
        await tab.send(signInAs("bob"));
      });
      return tab;
    },
    left: { user: "bob" },
    ended: true,
    gone: ["save"],
  },
  {
    name: "a slow request signs in although its old session was ended meanwhile",
    holds: "the new session is there and the old id stays ended",
    play: (browser) =>
      browser.send(async (request) => {
        await browser.copy().send(signOut);
        await request.signInAs("bob");
      }),
    left: { user: "bob" },
    ended: true,
  },
  {
    name: "two requests sign in at the same moment",
    holds: "there are two sessions and the old id stays ended",
    play: async (browser) => {
      const bothLoaded = meeting(2);
      const signIn = (user) => (request) => bothLoaded().then(() => request.signInAs(user));
      const other = browser.copy();
      await Promise.all([browser.send(signIn("bob")), other.send(signIn("eve"))]);
    },
    left: { user: "bob" },
    ended: true,
    count: 2,
  },
];
