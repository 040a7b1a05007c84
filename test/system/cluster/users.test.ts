import type { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { type Data, handlesOf, user } from "../../support/stores.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";
import { Nodes } from "../support/nodes.js";

describe("with three replicas", { timeout: 180_000 }, () => {
  let nodes: Nodes;
  let stores: SessionStore<Data>[];

  beforeAll(async () => {
    nodes = await Nodes.start();
    stores = await nodes.open<Data>({ user });
  });
  afterAll(() => nodes?.close());

  const store = (n: number) => stores[n % stores.length] as SessionStore<Data>;

  it("a session is listed through each server as soon as it is saved, and never after it was ended", async () => {
    for (let i = 0; i < 20; i++) {
      const handle = store(i).handleOf(`session-${i}`);
      await store(i).save(`session-${i}`, { user: "ada" });
      expect(await handlesOf(store(i + 1), "ada")).toContain(handle);
      expect(await store(i + 1).destroyByHandle(handle, { user: "ada" })).toBe(true);
      // A replica that lags behind may still have sessions that other processes have ended.
      expect(await handlesOf(store(i + 1), "ada")).not.toContain(handle);
    }
  });

  it.each(["end-oldest", "refuse"] as const)(
    "sign-ins at the same time at all nodes leave no more than three sessions with `onLimit` %j",
    async (onLimit) => {
      const limited = await nodes.open<Data>({ timeout: 60_000, user, maxSessionsPerUser: 3, onLimit });
      const name = `user of ${onLimit}`;
      const answers = await Promise.allSettled(
        limited.flatMap((one, n) =>
          Array.from({ length: 4 }, (_, i) => one.save(`${name} ${n}-${i}`, { user: name })),
        ),
      );
      const saved = answers.filter(({ status }) => status === "fulfilled");
      // A replica that lags behind may still have what was ended.
      await until("no more than three", async () => (await handlesOf(store(0), name)).length <= 3);
      expect(await handlesOf(store(0), name)).toHaveLength(onLimit === "refuse" ? saved.length : 3);
    },
  );

  it("the feed is complete, in order and without duplicates while the bucket's leader changes", async () => {
    const witnesses = await Promise.all(stores.map((one) => Witness.of(one)));
    const revisions: number[] = [];
    let isDone = false;
    const writing = Promise.all(
      stores.map(async (one, n) => {
        for (let i = 0; !isDone; i++) {
          // Each write is of a session of its own: none is overwritten, so none may be left out.
          const { record } = await one.save(`moving ${n}-${i}`, {});
          if (record) revisions.push(record.revision);
        }
      }),
    );
    for (let n = 1; n <= 2; n++) {
      await nodes.stepDown();
      await until("more writes", () => revisions.length >= 100 * n, 60_000);
    }
    isDone = true;
    await writing;
    revisions.sort((a, b) => a - b);
    for (const witness of witnesses) {
      await witness.untilRevision(revisions.at(-1) as number);
      expect(witness.changes.map(({ revision }) => revision)).toEqual(revisions);
      expect(witness.seen).toHaveLength(revisions.length);
      await witness.stop();
    }
  });
});
