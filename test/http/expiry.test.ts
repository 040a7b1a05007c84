import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";
import { untilTime } from "../support/wait.js";
import { stopApps } from "./support/app.js";
import { entryOf } from "./support/entry.js";
import { frameworks } from "./support/frameworks.js";
import { PATIENT } from "./support/servers.js";

/** Long enough for a request half-way through to be in time on a machine that stands still for seconds. */
const MAX_AGE = 7000;

// They do little but wait: all at once.
vi.setConfig({ maxConcurrency: 12 });

let nc: Connection;

beforeAll(async () => {
  nc = await connectCurrent();
});

afterAll(async () => {
  await stopApps();
  await nc?.close();
});

describe.each(frameworks)("the life of a session of $name", { concurrent: true }, (framework) => {
  /** An application whose sessions live for `maxAge` after each request, and somebody signed in to it. */
  async function signedIn(maxAge = MAX_AGE) {
    const bucket = newBucket();
    const store = await framework.Store.open(nc, { bucket, touchAfter: 0, timeout: PATIENT });
    const app = await framework.start(store, { maxAge, rolling: true });
    const ada = app.visitor();
    const before = Date.now();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const after = Date.now();
    const id = framework.idOf(ada) as string;
    const expiry = async () => (await store.sessions.load(id))?.expiresAt ?? 0;
    return { bucket, store, app, ada, id, before, after, expiry };
  }

  const whoAmI = ({ session }: { session: Record<string, unknown> }) => session.user;

  test("it ends exactly maxAge after the last request", async () => {
    const maxAge = 5200;
    const { bucket, store, app, ada, id, before, after, expiry } = await signedIn(maxAge);
    const expiresAt = await expiry();
    expect(expiresAt).toBeGreaterThanOrEqual(before + maxAge);
    expect(expiresAt).toBeLessThanOrEqual(after + maxAge);
    // The server counts in whole seconds; it must not drop the session before its time.
    expect((await entryOf(nc, bucket, id))?.header("Nats-TTL")).toBe("6s");

    await untilTime(expiresAt);
    const answer = await ada.visit(whoAmI);
    expect(answer).toMatchObject({ status: 200, result: null });
    expect(await store.sessions.load(id)).toBeNull();
    expect(await store.sessions.count({ exact: true })).toBe(0);
    expect(app.failures).toEqual([]);
  });

  test("each request gives it a whole life again", async () => {
    const { bucket, ada, id, expiry } = await signedIn();
    const firstEnd = await expiry();
    await untilTime(firstEnd - MAX_AGE / 2);
    const sent = Date.now();
    expect((await ada.visit(whoAmI)).result).toBe("ada");
    expect(await expiry()).toBeGreaterThanOrEqual(sent + MAX_AGE);
    expect(await entryOf(nc, bucket, id)).toMatchObject({ write: "touch" });

    await untilTime(firstEnd);
    expect((await ada.visit(whoAmI)).result).toBe("ada");
  });

  test("an explicit save long after the last change of data, with visits in between, keeps it alive", async () => {
    const { ada, before, expiry } = await signedIn();
    for (const share of [0.5, 0.8]) {
      await untilTime(before + share * MAX_AGE);
      expect((await ada.visit(whoAmI)).result).toBe("ada");
    }
    await untilTime(before + 1.1 * MAX_AGE);
    const sent = Date.now();
    const answer = await ada.visit(async (visit) => {
      await visit.save();
      return whoAmI(visit);
    });
    expect(answer).toMatchObject({ status: 200, result: "ada" });
    expect(await expiry()).toBeGreaterThanOrEqual(sent + MAX_AGE);
    expect((await ada.visit(whoAmI)).result).toBe("ada");
  });

  test("an explicit save alone renews it", async () => {
    const { app, ada, expiry } = await signedIn();
    const firstEnd = await expiry();
    await untilTime(firstEnd - MAX_AGE / 2);
    const renewed = await ada.visit(async (visit) => {
      const sent = Date.now();
      await visit.save();
      return (await expiry()) >= sent + MAX_AGE;
    });
    expect(renewed.result).toBe(true);
    await untilTime(firstEnd);
    expect((await ada.visit(whoAmI)).result).toBe("ada");
    expect(app.failures).toEqual([]);
  });

  test("a maxAge that was made longer outlives the first one", async () => {
    const { ada, expiry } = await signedIn();
    const firstEnd = await expiry();
    await ada.visit((visit) => visit.setMaxAge(60_000));
    await untilTime(firstEnd);
    expect((await ada.visit(whoAmI)).result).toBe("ada");
  });

  test("an absolute limit ends it however active it is", async () => {
    const store = await framework.Store.open(nc, {
      bucket: newBucket(),
      touchAfter: 0,
      timeout: PATIENT,
      absoluteTtl: MAX_AGE,
    });
    const app = await framework.start(store, { maxAge: 60_000, rolling: true });
    const ada = app.visitor();
    await ada.visit(({ session }) => {
      session.user = "ada";
    });
    const end = (await store.sessions.load(framework.idOf(ada) as string))?.expiresAt ?? 0;
    await untilTime(end - MAX_AGE / 2);
    expect((await ada.visit(whoAmI)).result).toBe("ada");
    await ada.visit(({ session }) => {
      session.views = 1;
    });
    await untilTime(end);
    expect((await ada.visit(whoAmI)).result).toBeNull();
  });
});
