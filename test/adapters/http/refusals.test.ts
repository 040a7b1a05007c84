import type { SessionStoreOptions } from "nats-session-store";
import { describe, expect, test } from "vitest";
import { putEntry } from "../../support/put-entry.js";
import { frameworks } from "../support/frameworks.js";
import { change, seenBy, useApps, whoAmI } from "../support/signed-in.js";
import type { Visit } from "../support/visit.js";

const HOUR = 3_600_000;

const apps = useApps();

interface Refusal {
  readonly what: string;
  readonly code: string;
  readonly message: RegExp;
  readonly options?: SessionStoreOptions;
  spoil(visit: Visit): void;
}

const serializer = {
  stringify(data: object) {
    if ("poison" in data) throw new Error("not this");
    return JSON.stringify(data);
  },
  parse: JSON.parse,
};

const refusals: Refusal[] = [
  {
    what: "a maxAge beyond `maxTtl`",
    code: "ERR_SESSION_TTL_TOO_LONG",
    message: /7200000.*3600000/s,
    options: { maxTtl: HOUR, onTtlTooLong: "error" },
    spoil: (visit) => visit.setMaxAge(2 * HOUR),
  },
  {
    what: "a session larger than a message",
    code: "ERR_SESSION_TOO_LARGE",
    message: /\d{7,} bytes.*\d{7}/s,
    spoil: change({ upload: "x".repeat(1_100_000) }),
  },
  {
    what: "data that the application's serializer refuses",
    code: "ERR_SESSION_SERIALIZE",
    message: /./,
    options: { serializer },
    spoil: change({ poison: true }),
  },
];

describe.each(frameworks)("with $name", (framework) => {
  test.each(refusals)("$what is an error of the save and the stored session stays", async (refusal) => {
    // express-session touches the session after a failed save.
    const options = { touchAfter: HOUR, settings: { maxAge: HOUR }, ...refusal.options };
    const { ada, app, entry } = await apps.signedIn(framework, options);
    const stored = await entry();
    const answer = await ada.visit(async (visit) => {
      refusal.spoil(visit);
      await visit.save();
    });
    expect(answer).toMatchObject({ status: 500, code: refusal.code });
    expect((app.failures[0] as Error).message).toMatch(refusal.message);
    expect((await entry()).revision).toBe(stored.revision);
    expect(await seenBy(ada)).toEqual({ user: "ada" });
  });

  test("a first session that cannot be stored leaves no session and no entry", async () => {
    const store = await apps.open(framework, { maxTtl: HOUR, onTtlTooLong: "error" });
    const app = await framework.start(store, { maxAge: 2 * HOUR });
    const answer = await app.visitor().visit(async (visit) => {
      change({ user: "ada" })(visit);
      await visit.save();
    });
    expect(answer).toMatchObject({ status: 500, code: "ERR_SESSION_TTL_TOO_LONG" });
    expect(await store.sessions.count()).toBe(0);
  });

  test("a maxAge of exactly `maxTtl` is stored", async () => {
    const sent = Date.now();
    const { app, ada, expiry } = await apps.signedIn(framework, { maxTtl: HOUR, settings: { maxAge: HOUR } });
    expect(await expiry()).toBeGreaterThanOrEqual(sent + HOUR);
    expect(await expiry()).toBeLessThanOrEqual(Date.now() + HOUR);
    expect(await seenBy(ada)).toEqual({ user: "ada" });
    expect(app.failures).toEqual([]);
  });

  test("a stored session that does not parse is an error for its own visitor only", async () => {
    const { ada, app, bucket, handle } = await apps.signedIn(framework);
    const grace = app.visitor();
    await grace.visit(change({ user: "grace" }));
    await putEntry(apps.nc, bucket, `s.${handle}`, "{");
    expect(await ada.visit()).toMatchObject({ status: 500, code: "ERR_SESSION_CORRUPT", setCookie: [] });
    expect(await grace.visit(whoAmI)).toMatchObject({ status: 200, result: "grace" });
  });

  test("a closed store is an error for each request and signs no visitor out", async () => {
    const { ada, bucket, store } = await apps.signedIn(framework);
    await store.close();
    expect(await ada.visit()).toMatchObject({ status: 500, code: "ERR_SESSION_CLOSED", setCookie: [] });
    const again = await framework.start(await apps.open(framework, { bucket }));
    expect((await ada.copy(again).visit(whoAmI)).result).toBe("ada");
  });
});
