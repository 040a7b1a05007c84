import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";
import { stopApps } from "./support/app.js";
import { entryOf } from "./support/entry.js";
import { frameworks } from "./support/frameworks.js";
import { PATIENT } from "./support/servers.js";

let nc: Connection;

beforeAll(async () => {
  nc = await connectCurrent();
});

afterAll(async () => {
  await stopApps();
  await nc?.close();
});

describe.each(frameworks)("sessions of $name", (framework) => {
  const openStore = (bucket = newBucket()) => framework.Store.open(nc, { bucket, timeout: PATIENT });

  test("a session lasts from request to request", async () => {
    const app = await framework.start(await openStore());
    const ada = app.visitor();
    for (const views of [1, 2, 3]) {
      const answer = await ada.visit(({ session }) => {
        session.views = Number(session.views ?? 0) + 1;
        return session.views;
      });
      expect(answer).toMatchObject({ status: 200, result: views });
    }
    expect(app.failures).toEqual([]);
  });

  test("each visitor has a session of their own", async () => {
    const app = await framework.start(await openStore());
    const [ada, grace] = [app.visitor(), app.visitor()];
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    await grace.visit(({ session }) => {
      session.user = "grace";
    });
    expect((await ada.visit(({ session }) => session.user)).result).toBe("ada");
    expect((await grace.visit(({ session }) => session.user)).result).toBe("grace");
    expect(framework.idOf(ada)).not.toBe(framework.idOf(grace));
  });

  test("what JSON can say comes back as it was", async () => {
    const app = await framework.start(await openStore());
    const ada = app.visitor();
    const cart = {
      items: [{ id: 7, count: 2 }],
      note: 'naïve 🛒 \u0000 "quoted" *.>',
      empty: {},
      none: null,
    };
    await ada.visit(({ session }) => {
      session.cart = cart;
    });
    expect((await ada.visit(({ session }) => session.cart)).result).toEqual(cart);
  });

  test("two instances of an application that share a bucket share their sessions", async () => {
    const bucket = newBucket();
    const [one, two] = await Promise.all([
      framework.start(await openStore(bucket)),
      framework.start(await openStore(bucket)),
    ]);
    const ada = one.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const elsewhere = ada.copy(two);
    expect((await elsewhere.visit(({ session }) => session.user)).result).toBe("ada");

    await elsewhere.visit(({ session }) => {
      session.user = "countess";
    });
    expect((await ada.visit(({ session }) => session.user)).result).toBe("countess");

    await elsewhere.visit((visit) => visit.destroy());
    expect((await ada.visit(({ session }) => session.user)).result).toBeNull();
  });

  test("a new session that nobody writes to is not stored and sets no cookie", async () => {
    const store = await openStore();
    const app = await framework.start(store);
    const answer = await app.visitor().visit(({ session }) => session.user);
    expect(answer).toMatchObject({ status: 200, result: null, setCookie: [] });
    expect(await store.sessions.count()).toBe(0);
  });

  test("a session that was saved in the middle of a request is there for others at once", async () => {
    const bucket = newBucket();
    const store = await openStore(bucket);
    const app = await framework.start(store);
    const other = await framework.start(await openStore(bucket));
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.step = 1;
    });
    const meanwhile = await ada.visit(async (visit) => {
      visit.session.step = 2;
      await visit.save();
      const seen = await ada.copy(other).visit(({ session }) => session.step);
      visit.session.step = 3;
      return seen.result;
    });
    expect(meanwhile.result).toBe(2);
    expect((await ada.visit(({ session }) => session.step)).result).toBe(3);
  });

  test("regenerate gives a new id, and the old one is dead", async () => {
    const store = await openStore();
    const app = await framework.start(store);
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.cart = "full";
    });
    const before = ada.copy();

    await ada.visit(async (visit) => {
      await visit.regenerate();
      visit.session.user = "ada";
    });
    expect(framework.idOf(ada)).not.toBe(framework.idOf(before));
    expect((await ada.visit(({ session }) => session.user)).result).toBe("ada");
    expect((await before.visit(({ session }) => session.cart ?? session.user)).result).toBeNull();
    expect(await store.sessions.count({ exact: true })).toBe(1);
  });

  test("destroy ends the session; its cookie leads to a fresh one", async () => {
    const bucket = newBucket();
    const store = await openStore(bucket);
    const app = await framework.start(store);
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const stolen = ada.copy();
    const id = framework.idOf(ada) as string;

    expect(await ada.visit((visit) => visit.destroy())).toMatchObject({ status: 200 });
    expect(await store.sessions.count({ exact: true })).toBe(0);
    expect(await entryOf(nc, bucket, id)).toMatchObject({ write: "destroy", text: "" });

    const answer = await stolen.visit(({ session }) => {
      const found = session.user;
      session.user = "mallory";
      return found;
    });
    expect(answer).toMatchObject({ status: 200, result: null });
    expect(framework.idOf(stolen)).not.toBe(id);
    expect(await entryOf(nc, bucket, id)).toMatchObject({ write: "destroy" });
  });

  test("a sign-out elsewhere wins over a request that was already under way", async () => {
    const bucket = newBucket();
    const store = await openStore(bucket);
    const app = await framework.start(store);
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const slow = ada.copy();
    const answer = await slow.visit(async ({ session }) => {
      await ada.copy().visit((visit) => visit.destroy());
      session.views = 1;
    });
    expect(answer.status).toBe(200);
    expect(await store.sessions.count({ exact: true })).toBe(0);
    expect((await ada.visit(({ session }) => session.user ?? session.views)).result).toBeNull();
  });

  test("an id that is signed but unknown is never adopted", async () => {
    const store = await openStore();
    const app = await framework.start(store);
    const id = randomUUID();
    const victim = app.visitor().with(framework.cookiesOf(id));
    await victim.visit(({ session }) => {
      session.user = "ada";
    });
    expect(framework.idOf(victim)).toBeDefined();
    expect(framework.idOf(victim)).not.toBe(id);
    expect(await store.sessions.load(id)).toBeNull();
    expect(await store.sessions.count({ exact: true })).toBe(1);

    // The cookies above do pass for signed: with the id of a session they lead to it.
    const ada = app.visitor().with(framework.cookiesOf(framework.idOf(victim) as string));
    expect((await ada.visit(({ session }) => session.user)).result).toBe("ada");
  });

  test("an id whose signature is wrong is not even looked up", async () => {
    const app = await framework.start(await openStore());
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const forged = Object.entries(framework.cookiesOf(framework.idOf(ada) as string));
    const signature = forged.at(-1) as [string, string];
    signature[1] = signature[1].replace(/.$/, (end) => (end === "A" ? "B" : "A"));
    const mallory = app.visitor().with(Object.fromEntries(forged));
    expect((await mallory.visit(({ session }) => session.user)).result).toBeNull();
  });

  test("a changed maxAge is stored at once, even when nothing else has changed", async () => {
    const bucket = newBucket();
    const store = await openStore(bucket);
    const app = await framework.start(store, { maxAge: 60_000 });
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const id = framework.idOf(ada) as string;
    const sent = Date.now();
    await ada.visit((visit) => visit.setMaxAge(600_000));
    expect((await store.sessions.load(id))?.expiresAt).toBeGreaterThanOrEqual(sent + 600_000);

    // It stays so for requests that know nothing of it, and may be taken back.
    const next = Date.now();
    await ada.visit(({ session }) => {
      session.views = 1;
    });
    expect((await store.sessions.load(id))?.expiresAt).toBeGreaterThanOrEqual(next + 600_000);
    await ada.visit((visit) => visit.setMaxAge(30_000));
    expect((await store.sessions.load(id))?.expiresAt).toBeLessThanOrEqual(Date.now() + 30_000);
    expect((await ada.visit(({ session }) => session.user)).result).toBe("ada");
  });

  test("the session's own names cannot change a prototype", async () => {
    const app = await framework.start(await openStore());
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.posted = JSON.parse(
        '{"__proto__": {"admin": true}, "constructor": {"prototype": {"admin": true}}}',
      );
      session.user = "ada";
    });
    const answer = await ada.visit(({ session }) => [
      session.user,
      (session.posted as { admin?: boolean }).admin ?? null,
      ({} as { admin?: boolean }).admin ?? null,
    ]);
    expect(answer.result).toEqual(["ada", null, null]);
  });
});
