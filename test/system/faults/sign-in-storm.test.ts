import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, describe, expect, it } from "vitest";
import { Gate } from "../../support/gate.js";
import { handlesOf, Stores } from "../../support/stores.js";
import { connectCurrent, newBucket } from "../../support/variants.js";
import { rounds } from "../support/expectations.js";
import { median, report } from "../support/figures.js";

const LIMIT = 5;

/** How often the account of the storm signs in, in a second. */
const RATE = 30;

/** How long others are measured without the storm and in it, in ms, and how often in the whole form: a minute of it. */
const WINDOW = 5000;
const PAIRS = rounds(0, 12);

describe("a storm of sign-ins of one account", () => {
  const stores = new Stores({ connect: connectCurrent });
  afterEach(() => stores.close());

  /** A process in whose store one account signs in, and one with the sign-ins of others. */
  const begin = async () => {
    const shared = { bucket: newBucket(), maxSessionsPerUser: LIMIT };
    let sent = 0;
    const gate = new Gate(await stores.connect(), (subject) => {
      // How many replicas there are is asked by time, not by sign-in.
      if (!subject.startsWith("$JS.API.STREAM.INFO.")) sent++;
      return 0;
    });
    const others = await stores.openOn(gate.connection, shared);
    const attacked = await stores.open(shared);
    let signIns = 0;
    const storm = () => attacked.save(`storm ${signIns++}`, { user: "ada" });
    let users = 0;
    /** @returns how many messages it took, and how long, in ms */
    const signIn = async () => {
      const [before, from] = [sent, performance.now()];
      await others.save(`session ${users}`, { user: `user ${users++}` });
      return { messages: sent - before, time: performance.now() - from };
    };
    const check = async () => expect(await handlesOf(others, "ada")).toHaveLength(LIMIT);
    return { storm, signIn, check };
  };

  it("costs the sign-ins of others at most one message more, which looks at what was written meanwhile", async () => {
    const { storm, signIn, check } = await begin();
    const calm = await signIn();
    const storming = Promise.all(Array.from({ length: 2 * RATE }, storm));
    storming.catch(() => {}); // told where it is awaited
    for (let n = 0; n < RATE; n++) expect((await signIn()).messages).toBeLessThanOrEqual(calm.messages + 1);
    await storming;
    await check();
  });

  if (PAIRS > 0) {
    it("less than doubles their time in a minute of it", { timeout: 300_000 }, async () => {
      const { storm, signIn, check } = await begin();
      const measure = async (): Promise<number> => {
        const times: number[] = [];
        const end = performance.now() + WINDOW;
        while (performance.now() < end) {
          times.push((await signIn()).time);
          await sleep(20);
        }
        return median(times);
      };
      const pairs: { calm: number; storm: number }[] = [];
      for (let pair = 0; pair < PAIRS; pair++) {
        const calm = await measure();
        const storming: Promise<unknown>[] = [];
        const timer = setInterval(() => {
          const signingIn = storm();
          signingIn.catch(() => {}); // told where all are awaited
          storming.push(signingIn);
        }, 1000 / RATE);
        pairs.push({ calm, storm: await measure() });
        clearInterval(timer);
        await Promise.all(storming);
        expect(storming.length).toBeGreaterThan((WINDOW / 1000) * RATE * 0.8);
      }
      const ratio = median(pairs.map(({ calm, storm }) => storm / calm));
      const ms = (values: number[]) => Number(median(values).toFixed(2));
      report("sign-in-storm", {
        signInsPerSecond: RATE,
        seconds: (PAIRS * WINDOW) / 1000,
        calm: ms(pairs.map(({ calm }) => calm)),
        storm: ms(pairs.map(({ storm }) => storm)),
        ratio: Number(ratio.toFixed(2)),
      });
      expect(ratio).toBeLessThan(2);
      await check();
    });
  }
});
