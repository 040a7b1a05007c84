import { describe, expect, test } from "vitest";
import { user } from "../../support/stores.js";
import { frameworks } from "../support/frameworks.js";
import { change, signOut, useApps, whoAmI } from "../support/signed-in.js";
import type { Visit } from "../support/visit.js";
import type { Visitor } from "../support/visitor.js";

const apps = useApps();

const signIn = (visit: Visit) => {
  change({ user: "ada" })(visit);
  return visit.save();
};

describe.each(frameworks)("with $name and `maxSessionsPerUser: 2`", (framework) => {
  const start = (onLimit: "end-oldest" | "refuse") =>
    apps.signedIn(framework, { user, maxSessionsPerUser: 2, onLimit });

  test("a third sign-in signs the oldest session out", async () => {
    const { ada, app } = await start("end-oldest");
    const devices = [ada, app.visitor(), app.visitor()];
    for (const device of devices.slice(1)) await device.visit(signIn);
    const seen = [];
    for (const device of devices) seen.push((await device.visit(whoAmI)).result);
    expect(seen).toEqual([null, "ada", "ada"]);
  });

  test('with `onLimit: "refuse"` a third sign-in is an error with a code until another session ends', async () => {
    const { ada, app } = await start("refuse");
    const [second, refused] = [app.visitor(), app.visitor()] as [Visitor<Visit>, Visitor<Visit>];
    await second.visit(signIn);
    const answer = await refused.visit(async (visit) => {
      const error = await signIn(visit).then(
        () => undefined,
        (error: { code?: string }) => error,
      );
      visit.session.user = undefined;
      return error?.code;
    });
    expect(answer.result).toBe("ERR_SESSION_LIMIT");
    expect((await refused.visit(whoAmI)).result).toBeNull();
    for (const device of [ada, second]) expect((await device.visit(whoAmI)).result).toBe("ada");
    await ada.visit(signOut);
    await refused.visit(signIn);
    expect((await refused.visit(whoAmI)).result).toBe("ada");
  });
});
