import type { SessionStoreOptions } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { putEntry } from "../support/put-entry.js";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";
import { stopApps } from "./support/app.js";
import { entryOf } from "./support/entry.js";
import { frameworks } from "./support/frameworks.js";
import { PATIENT } from "./support/servers.js";

const HOUR = 3_600_000;

let nc: Connection;

beforeAll(async () => {
  nc = await connectCurrent();
});

afterAll(async () => {
  await stopApps();
  await nc?.close();
});

describe.each(frameworks)("what $name is told when a session cannot be stored", (framework) => {
  const openStore = (options: SessionStoreOptions = {}) =>
    framework.Store.open(nc, { bucket: newBucket(), timeout: PATIENT, ...options });

  test("a maxAge beyond maxTtl is an error that names both, and nothing is stored", async () => {
    const store = await openStore({ maxTtl: HOUR });
    const app = await framework.start(store, { maxAge: 2 * HOUR });
    const answer = await app.visitor().visit(async (visit) => {
      visit.session.user = "ada";
      await visit.save();
    });
    expect(answer).toMatchObject({ status: 500, code: "ERR_SESSION_TTL_TOO_LONG" });
    expect((app.failures[0] as Error).message).toContain(String(2 * HOUR));
    expect((app.failures[0] as Error).message).toContain(String(HOUR));
    expect(await store.sessions.count()).toBe(0);
  });

  test("a maxAge of exactly maxTtl is fine", async () => {
    const store = await openStore({ maxTtl: HOUR });
    const app = await framework.start(store, { maxAge: HOUR });
    const ada = app.visitor();
    const sent = Date.now();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    expect((await ada.visit(({ session }) => session.user)).result).toBe("ada");
    const { expiresAt = 0 } = (await store.sessions.load(framework.idOf(ada) as string)) ?? {};
    expect(expiresAt).toBeGreaterThanOrEqual(sent + HOUR);
    expect(expiresAt).toBeLessThanOrEqual(Date.now() + HOUR);
    expect(app.failures).toEqual([]);
  });

  test("a session too large for the server is an error with size and limit; the stored one stays", async () => {
    const bucket = newBucket();
    const app = await framework.start(await openStore({ bucket }));
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const id = framework.idOf(ada) as string;
    const stored = await entryOf(nc, bucket, id);

    const maxPayload = nc.info?.max_payload ?? 0;
    const answer = await ada.visit(async (visit) => {
      visit.session.upload = "x".repeat(maxPayload);
      await visit.save();
    });
    expect(answer).toMatchObject({ status: 500, code: "ERR_SESSION_TOO_LARGE" });
    expect((app.failures[0] as Error).message).toMatch(/\d{7,} bytes.*\d{7}/s);
    expect((await entryOf(nc, bucket, id))?.revision).toBe(stored?.revision);
    const next = await ada.visit(({ session }) => [session.user, session.upload ?? null]);
    expect(next).toMatchObject({ status: 200, result: ["ada", null] });
  });

  test("data that the serializer refuses are an error; the stored session stays", async () => {
    const cause = new Error("not this");
    const serializer = {
      stringify(data: object) {
        if ("poison" in data) throw cause;
        return JSON.stringify(data);
      },
      parse: JSON.parse,
    };
    const app = await framework.start(await openStore({ serializer }));
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const answer = await ada.visit(async (visit) => {
      visit.session.poison = true;
      await visit.save();
    });
    expect(answer).toMatchObject({ status: 500, code: "ERR_SESSION_SERIALIZE" });
    expect(app.failures[0]).toMatchObject({ cause });
    const next = await ada.visit(({ session }) => [session.user, session.poison ?? null]);
    expect(next).toMatchObject({ status: 200, result: ["ada", null] });
  });

  test("a stored session that does not parse is an error for its owner alone", async () => {
    const bucket = newBucket();
    const store = await openStore({ bucket });
    const app = await framework.start(store);
    const [ada, grace] = [app.visitor(), app.visitor()];
    for (const [visitor, name] of [
      [ada, "ada"],
      [grace, "grace"],
    ] as const) {
      await visitor.visit(({ session }) => {
        session.user = name;
      });
    }
    await putEntry(nc, bucket, `s.${store.sessions.handleOf(framework.idOf(ada) as string)}`, "{");

    expect(await ada.visit()).toMatchObject({ status: 500, code: "ERR_SESSION_CORRUPT", setCookie: [] });
    expect(await grace.visit(({ session }) => session.user)).toMatchObject({ status: 200, result: "grace" });
  });

  test("a store that was closed is an error, and nobody is signed out", async () => {
    const bucket = newBucket();
    const store = await openStore({ bucket });
    const app = await framework.start(store);
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    await store.close();
    expect(await ada.visit()).toMatchObject({ status: 500, code: "ERR_SESSION_CLOSED", setCookie: [] });

    const again = await framework.start(await openStore({ bucket }));
    expect((await ada.copy(again).visit(({ session }) => session.user)).result).toBe("ada");
  });
});
