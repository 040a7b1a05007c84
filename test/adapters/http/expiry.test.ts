import { describe, expect, test } from "vitest";
import { stopClock } from "../../support/clock.js";
import { frameworks } from "../support/frameworks.js";
import { change, seenBy, useApps, whoAmI } from "../support/signed-in.js";

const HOUR = 3_600_000;
const settings = { maxAge: HOUR, rolling: true };

const apps = useApps();

describe.each(frameworks)("a session of $name with a maxAge of an hour", (framework) => {
  test("ends exactly maxAge after the last request", async () => {
    const clock = stopClock();
    const maxAge = 5200;
    const { app, ada, expiry, entry, isStored, store } = await apps.signedIn(framework, {
      settings: { ...settings, maxAge },
    });
    expect(await expiry()).toBe(Date.now() + maxAge);
    // The server counts whole seconds and must not remove the session before its time.
    expect((await entry()).header("Nats-TTL")).toBe("6s");
    clock.advance(maxAge - 1);
    expect(await isStored()).toBe(true);
    clock.advance(1);
    expect(await ada.visit(whoAmI)).toMatchObject({ status: 200, result: null });
    expect(await isStored()).toBe(false);
    expect(await store.sessions.count({ exact: true })).toBe(0);
    expect(app.failures).toEqual([]);
  });

  test("is renewed for the whole maxAge by each request", async () => {
    const clock = stopClock();
    const { ada, expiry, entry } = await apps.signedIn(framework, { settings });
    const firstEnd = await expiry();
    clock.advance(HOUR / 2);
    expect((await ada.visit(whoAmI)).result).toBe("ada");
    expect(await expiry()).toBe(Date.now() + HOUR);
    expect(await entry()).toMatchObject({ write: "touch" });
    clock.advanceTo(firstEnd);
    expect(await seenBy(ada)).toEqual({ user: "ada" });
  });

  test("is renewed by an explicit save long after the last change of data, with visits in between", async () => {
    const clock = stopClock();
    const { ada, expiry } = await apps.signedIn(framework, { settings });
    for (const pause of [0.5, 0.3]) {
      clock.advance(pause * HOUR);
      expect((await ada.visit(whoAmI)).result).toBe("ada");
    }
    clock.advance(0.3 * HOUR);
    expect(await ada.visit((visit) => visit.save())).toMatchObject({ status: 200 });
    expect(await expiry()).toBe(Date.now() + HOUR);
    expect(await seenBy(ada)).toEqual({ user: "ada" });
  });

  test("is renewed by an explicit save before the end of the request", async () => {
    const clock = stopClock();
    const { ada, app, expiry } = await apps.signedIn(framework, { settings });
    clock.advance(HOUR / 2);
    const renewed = await ada.visit(async (visit) => {
      await visit.save();
      return expiry();
    });
    expect(renewed.result).toBe(Date.now() + HOUR);
    expect(app.failures).toEqual([]);
  });

  test("outlives its first end after its maxAge was made longer", async () => {
    const clock = stopClock();
    const { ada } = await apps.signedIn(framework, { settings });
    await ada.visit((visit) => visit.setMaxAge(2 * HOUR));
    clock.advance(1.5 * HOUR);
    expect(await seenBy(ada)).toEqual({ user: "ada" });
  });

  test("ends at `absoluteTtl` however active it is", async () => {
    const clock = stopClock();
    const { ada, expiry } = await apps.signedIn(framework, { settings, absoluteTtl: 1.5 * HOUR });
    const end = Date.now() + 1.5 * HOUR;
    clock.advance(0.75 * HOUR);
    await ada.visit(change({ views: 1 }));
    expect(await expiry()).toBe(end);
    clock.advanceTo(end - 1);
    expect(await seenBy(ada)).toEqual({ user: "ada", views: 1 });
    clock.advanceTo(end);
    expect(await seenBy(ada)).toEqual({});
  });

  test("that expires during a slow request is not brought back by it", async () => {
    const clock = stopClock();
    const { ada, app, gone, handle, isStored } = await apps.signedIn(framework, { settings });
    const slow = await ada.visit((visit) => {
      clock.advance(HOUR);
      change({ a: 1 })(visit);
    });
    expect(slow).toMatchObject({ status: 200 });
    expect(gone).toEqual([{ handle, operation: "save" }]);
    expect(await isStored()).toBe(false);
    expect(await seenBy(ada)).toEqual({});
    expect(app.failures).toEqual([]);
  });
});
