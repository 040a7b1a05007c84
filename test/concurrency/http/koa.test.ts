import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { stopApps } from "../../http/support/app.js";
import { koaFramework } from "../../http/support/koa.js";
import { type Connection, connectCurrent } from "../../support/variants.js";
import { browse, change, numbers, seenBy } from "./browsing.js";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let nc: Connection;

beforeAll(async () => {
  nc = await connectCurrent();
});

afterAll(async () => {
  await stopApps();
  await nc?.close();
});

describe("save() and the commit at the end of the request, which store twice,", () => {
  test("do not conflict with each other", async () => {
    const { ada, app } = await browse(koaFramework, nc, { data: { a: 1 }, onConflict: "error" });
    await ada.visit(async (visit) => {
      change({ a: 2 })(visit);
      await visit.save();
    });
    await ada.visit(async (visit) => {
      change({ b: 1 })(visit);
      await visit.save();
      change({ b: 2, a: undefined })(visit);
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", b: 2 });
    expect(app.failures).toEqual([]);
  });

  test("nor do several saves that nobody waits for one by one", async () => {
    const { ada, app } = await browse(koaFramework, nc, { onConflict: "error" });
    await ada.visit(async (visit) => {
      const saves = numbers(10).map((n) => {
        change({ [`key${n}`]: n, last: n })(visit);
        return visit.save();
      });
      await Promise.all(saves);
    });
    expect(await seenBy(ada)).toMatchObject({ key1: 1, key10: 10, last: 10 });
    expect(app.failures).toEqual([]);
  });

  test("nor in the request that begins the session", async () => {
    const { app, store } = await browse(koaFramework, nc, { onConflict: "error" });
    const grace = app.visitor();
    await grace.visit(async (visit) => {
      change({ user: "grace" })(visit);
      await visit.save();
      change({ a: 1 })(visit);
    });
    expect(await seenBy(grace)).toEqual({ user: "grace", a: 1 });
    expect(await store.sessions.count({ exact: true })).toBe(2);
    expect(app.failures).toEqual([]);
  });

  test("lose nothing that another request has changed", async () => {
    const { ada } = await browse(koaFramework, nc, { data: { a: 1, b: 1, removed: 1 } });
    await ada.visit(async (visit) => {
      change({ a: 2 })(visit);
      await ada.visit(change({ b: 2, added: 1, removed: undefined }));
      await visit.save();
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, b: 2, added: 1 });
  });

  test("lose nothing that another request changes between them", async () => {
    const { ada } = await browse(koaFramework, nc, { data: { a: 1, b: 1, removed: 1 } });
    await ada.visit(async (visit) => {
      change({ a: 2 })(visit);
      await visit.save();
      await ada.visit(change({ b: 2, added: 1, removed: undefined }));
    });
    expect(await seenBy(ada)).toEqual({ user: "ada", a: 2, b: 2, added: 1 });
  });
});

test("a new object in place of the session removes what was loaded, not what another request has added", async () => {
  const { ada } = await browse(koaFramework, nc, { data: { a: 1, b: 1 } });
  await ada.visit(async ({ ctx }) => {
    await ada.visit(change({ added: 1 }));
    ctx.session = { user: "grace", a: 2 };
  });
  expect(await seenBy(ada)).toEqual({ user: "grace", a: 2, added: 1 });
});

describe('a session that ends with the browser (`maxAge: "session"`) stays one', () => {
  const start = async () => {
    const browsing = await browse(koaFramework, nc, { ttl: HOUR, settings: { maxAge: "session" } });
    const { store, id } = browsing;
    return {
      ...browsing,
      /** The whole session as it is stored, and how long it has left, in ms. */
      stored: async () => {
        const record = await store.sessions.load(id);
        return { data: record?.data, life: (record?.expiresAt ?? 0) - Date.now() };
      },
    };
  };

  test("after a merge", async () => {
    const { ada, stored } = await start();
    const slow = await ada.visit(async (visit) => {
      change({ a: 1 })(visit);
      await ada.visit(change({ b: 1 }));
    });
    for (const line of slow.setCookie) expect(line).not.toMatch(/expires|max-age/i);
    const { data, life } = await stored();
    expect(data).toEqual({ user: "ada", a: 1, b: 1, _session: true });
    expect(life).toBeLessThanOrEqual(HOUR);
  });

  test("after a merge and a second save in its request", async () => {
    const { ada, stored } = await start();
    await ada.visit(async (visit) => {
      change({ a: 1 })(visit);
      await ada.visit(change({ b: 1 }));
      await visit.save();
      change({ a: 2 })(visit);
    });
    const { data, life } = await stored();
    expect(data).toEqual({ user: "ada", a: 2, b: 1, _session: true });
    expect(life).toBeLessThanOrEqual(HOUR);
  });

  test("after a merge in the second of two saves", async () => {
    const { ada, stored } = await start();
    await ada.visit(async (visit) => {
      change({ a: 1 })(visit);
      await visit.save();
      await ada.visit(change({ b: 1 }));
      change({ a: 2 })(visit);
    });
    const { data, life } = await stored();
    expect(data).toEqual({ user: "ada", a: 2, b: 1, _session: true });
    expect(life).toBeLessThanOrEqual(HOUR);
  });

  test("after several saves at the same time", async () => {
    const { ada, stored } = await start();
    await ada.visit(async (visit) => {
      await ada.visit(change({ b: 1 }));
      const saves = numbers(3).map((n) => {
        change({ a: n })(visit);
        return visit.save();
      });
      await Promise.all(saves);
    });
    const { data, life } = await stored();
    expect(data).toEqual({ user: "ada", a: 3, b: 1, _session: true });
    expect(life).toBeLessThanOrEqual(HOUR);
  });

  test("unless another request gives it a maxAge: that one holds, however often the slow one saves", async () => {
    const { ada, stored } = await start();
    await ada.visit(async (visit) => {
      change({ a: 1 })(visit);
      await ada.visit(({ setMaxAge }) => setMaxAge(60_000));
      await visit.save();
      change({ a: 2 })(visit);
    });
    const { data, life } = await stored();
    expect(data).toEqual({ user: "ada", a: 2, _maxAge: 60_000 });
    expect(life).toBeLessThanOrEqual(60_000);
  });
});

test("a session of a day that another request lets end with the browser does so, however often the slow one saves", async () => {
  const { ada, store, id } = await browse(koaFramework, nc, { ttl: HOUR, settings: { maxAge: DAY } });
  await ada.visit(async (visit) => {
    change({ a: 1 })(visit);
    await ada.visit(({ ctx }) => {
      Object.assign(ctx.session as object, { maxAge: "session" });
    });
    await visit.save();
    change({ a: 2 })(visit);
  });
  const record = await store.sessions.load(id);
  expect(record?.data).toEqual({ user: "ada", a: 2, _session: true });
  expect((record?.expiresAt ?? 0) - Date.now()).toBeLessThanOrEqual(HOUR);
});
