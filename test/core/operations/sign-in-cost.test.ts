import type { SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { type Data, Stores } from "../../support/stores.js";
import { connectCurrent, newBucket } from "../../support/variants.js";

const LIMIT = 5;

/** How often the user has signed in before a sign-in is measured. */
const BEFORE = 400;

describe("the cost of a sign-in with a limit of sessions", () => {
  const stores = new Stores({ connect: connectCurrent });
  afterAll(() => stores.close());

  /**
   * The fewest messages that one of the last sign-ins sent, by as many processes in turn: what is removed from the
   * index in the background is counted with the sign-in that runs then.
   */
  const messages = async (processes: number): Promise<number> => {
    const bucket = newBucket();
    const connections = await Promise.all(Array.from({ length: processes }, () => stores.connect()));
    const several: SessionStore<Data>[] = [];
    for (const nc of connections)
      several.push(await stores.openOn(nc, { bucket, maxSessionsPerUser: LIMIT }));
    const sent = () => connections.reduce((sum, nc) => sum + nc.stats().outMsgs, 0);
    const counts: number[] = [];
    for (let n = 0; n < BEFORE + 20; n++) {
      const before = sent();
      await several[n % processes]?.save(`session-${n}`, { user: "ada" });
      counts.push(sent() - before);
    }
    expect(await several[0]?.count({ exact: true })).toBe(LIMIT);
    return Math.min(...counts.slice(-20));
  };

  it(`is at most 8 messages after ${BEFORE} sign-ins of the user`, async () => {
    expect(await messages(1)).toBeLessThanOrEqual(8);
  });

  it("is one more, to see what the other process has ended, where two processes take turns", async () => {
    expect(await messages(2)).toBeLessThanOrEqual(9);
  });
});
