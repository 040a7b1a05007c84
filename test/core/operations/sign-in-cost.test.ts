import type { SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { Gate } from "../../support/gate.js";
import { RawBucket } from "../../support/raw-bucket.js";
import { type Data, Stores } from "../../support/stores.js";
import { connectCurrent, newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";

const LIMIT = 5;

/** How often the user has signed in before a sign-in is measured. */
const BEFORE = 400;

/** So long, in ms, removals from a user's index entry wait for a sign-in that takes them along. */
const REMOVAL_DELAY = 250;

describe("the cost of a sign-in with a limit of sessions", () => {
  const stores = new Stores({ connect: connectCurrent });
  afterAll(() => stores.close());

  /** A user who has signed in often, in as many processes in turn. */
  const begin = async (processes: number) => {
    const bucket = newBucket();
    let sent: string[] = [];
    let questions = 0;
    const several: SessionStore<Data>[] = [];
    for (let n = 0; n < processes; n++) {
      const { connection } = new Gate(await stores.connect(), (subject) => {
        // How many replicas there are is asked by time, not by sign-in: at most twice a second.
        if (subject.startsWith("$JS.API.STREAM.INFO.")) questions++;
        else sent.push(subject);
        return 0;
      });
      several.push(await stores.openOn(connection, { bucket, maxSessionsPerUser: LIMIT }));
    }
    let signIns = 0;
    const signIn = async () => {
      const n = signIns++;
      sent = [];
      await several[n % processes]?.save(`session-${n}`, { user: "ada" });
      return sent;
    };
    const begun = performance.now();
    const all: string[] = [];
    for (let n = 0; n < BEFORE; n++) all.push(...(await signIn()));
    const elapsed = performance.now() - begun;
    const entries = new RawBucket(await stores.connect(), bucket);
    const isIndex = (subject: string) => subject.startsWith(`$KV.${bucket}.u.`);
    const index = (all.find(isIndex) as string).slice(`$KV.${bucket}.`.length);
    /** Waits until what the last sign-in has ended is out of the index. @returns what that took */
    const rest = async () => {
      await until("an index entry of the live sessions", async () => {
        const { value } = await entries.get(index);
        return Buffer.from(value).toString().trim().split("\n").length === LIMIT;
      });
      await until("the end of the removal", () => sent.filter(isIndex).length > 1);
      return sent;
    };
    const check = async () => {
      expect(await several[0]?.count({ exact: true })).toBe(LIMIT);
      expect(questions).toBeLessThanOrEqual(2 * processes * (1 + (performance.now() - begun) / 500));
    };
    return { all, elapsed, isIndex, signIn, rest, check };
  };

  it.each([
    [8, "", 1],
    [9, " where two processes take turns, with one to see what the other has ended,", 2],
  ])(`is at most %d messages%s after ${BEFORE} sign-ins of the user`, async (most, _why, processes) => {
    const { signIn, rest, check } = await begin(processes);
    await signIn();
    await rest();
    for (let n = 0; n < 8; n++) {
      const own = (await signIn()).length;
      expect(own).toBeLessThanOrEqual(most);
      // What it has ended leaves the index afterwards, in the background: a read and a write.
      expect((await rest()).length - own).toBe(2);
    }
    await check();
  });

  it("is no message more in a row of sign-ins, where each takes along what the one before has ended", async () => {
    const { all, elapsed, isIndex, check } = await begin(1);
    // Where the machine stands still; such a removal may also make a sign-in read the index again.
    const removals = elapsed / REMOVAL_DELAY + 1;
    expect(all.filter(isIndex).length).toBeLessThanOrEqual(BEFORE + removals);
    expect(all.length).toBeLessThanOrEqual(8 * BEFORE + 3 * removals);
    await check();
  });
});
