import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { stopApps } from "../http/support/app.js";
import { frameworks } from "../http/support/frameworks.js";
import { PATIENCE } from "../support/patient.js";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";
import { encryptionBy } from "./keys.js";

describe.each(frameworks)(
  "an application of $name that turns encryption on, and rotates its key",
  (framework) => {
    let nc: Connection;
    beforeAll(async () => {
      nc = await connectCurrent();
    });
    afterAll(async () => {
      await stopApps();
      await nc.close();
    });

    const times = [{}, { encryption: encryptionBy("k1") }, { encryption: encryptionBy("k2", "k1") }];

    it("keeps its visitors signed in, and can sign them out", async () => {
      const bucket = newBucket();
      const stores = await Promise.all(
        times.map((options) =>
          framework.Store.open(nc, { bucket, timeout: PATIENCE, touchAfter: 0, ...options }),
        ),
      );
      const apps = await Promise.all(stores.map((store) => framework.start(store, { rolling: true })));
      const [before, turnedOn, rotated] = apps;
      if (!before || !turnedOn || !rotated) throw new Error("not started");
      let ada = before.visitor();
      await ada.visit(({ session }) => {
        Object.assign(session, { user: "ada", visits: 1 });
      });
      for (const app of [turnedOn, rotated]) {
        ada = ada.copy(app);
        // The first visit only reads, and moves the session by its touch; a request beside it saves.
        const beside = ada.copy();
        const [read] = await Promise.all([
          ada.visit(({ session }) => session.user),
          beside.visit(({ session }) => {
            session.theme = "dark";
          }),
        ]);
        expect(read.result).toBe("ada");
        const counted = await ada.visit(async ({ session, save }) => {
          session.visits = Number(session.visits) + 1;
          await save();
          session.seen = true;
          return [session.user, session.theme];
        });
        expect(counted.result).toEqual(["ada", "dark"]);
      }
      expect((await ada.visit(({ session }) => session.visits)).result).toBe(3);
      const id = framework.idOf(ada) ?? "";
      await ada.visit(({ destroy }) => destroy());
      expect(await stores[2]?.sessions.load(id)).toBeNull();
      for (const app of apps) expect(app.failures).toEqual([]);
      await Promise.all(stores.map((store) => store.close()));
    });
  },
);
