import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { encryptionBy } from "../encryption/keys.js";
import { stopApps } from "../http/support/app.js";
import { frameworks } from "../http/support/frameworks.js";
import { PATIENCE } from "../support/patient.js";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";

/**
 * Session fixation: an id that somebody made up, and put into a visitor's browser, must not become the id of a
 * session, whether or not its signature is right.
 */
describe.each(frameworks)("an id that the application did not give, for $name", (framework) => {
  let nc: Connection;
  beforeAll(async () => {
    nc = await connectCurrent();
  });
  afterAll(async () => {
    await stopApps();
    await nc.close();
  });
  const madeUp = () => randomBytes(24).toString("base64url");

  describe.each([
    ["plain", {}],
    ["encrypted", { encryption: encryptionBy("newest", "older") }],
  ])("%s", (_name, options) => {
    it.each(["right", "wrong", "missing"])("is not adopted when its signature is %s", async (signature) => {
      const store = await framework.Store.open(nc, { bucket: newBucket(), timeout: PATIENCE, ...options });
      const app = await framework.start(store);
      const id = madeUp();
      const cookies = Object.entries(framework.cookiesOf(id)).flatMap(([name, value]) => {
        if (signature === "right") return [[name, value] as const];
        if (name.endsWith(".sig")) return signature === "wrong" ? [[name, madeUp()] as const] : [];
        return [[name, signature === "wrong" ? value.replace(/\.[^.]*$/, `.${madeUp()}`) : id] as const];
      });
      const victim = app.visitor().with(Object.fromEntries(cookies));
      const answer = await victim.visit(({ session }) => {
        session.user = "ada";
      });
      expect(answer.status).toBe(200);
      expect(answer.setCookie).not.toEqual([]);
      expect(framework.idOf(victim)).not.toBe(id);
      expect(await store.sessions.load(id)).toBeNull();
      const attacker = app.visitor().with(framework.cookiesOf(id));
      expect((await attacker.visit(({ session }) => session.user)).result).toBeNull();
      expect((await victim.visit(({ session }) => session.user)).result).toBe("ada");
      expect(app.failures).toEqual([]);
      await store.close();
    });

    it("is not adopted after its session was signed out, or has a handle's form", async () => {
      const store = await framework.Store.open(nc, { bucket: newBucket(), timeout: PATIENCE, ...options });
      const app = await framework.start(store);
      const ada = app.visitor();
      await ada.visit(({ session }) => {
        session.user = "ada";
      });
      const thief = ada.copy();
      const id = framework.idOf(ada) ?? "";
      // Who reads the bucket or a log learns the handle, which opens nothing.
      const reader = app.visitor().with(framework.cookiesOf(store.sessions.handleOf(id)));
      expect((await reader.visit(({ session }) => session.user)).result).toBeNull();
      await ada.visit(({ destroy }) => destroy());
      const replayed = await thief.visit(({ session }) => {
        const before = session.user;
        session.user = "mallory";
        return before;
      });
      expect(replayed.result).toBeNull();
      expect(framework.idOf(thief)).not.toBe(id);
      expect(await store.sessions.load(id)).toBeNull();
      await store.close();
    });
  });
});
