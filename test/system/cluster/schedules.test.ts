import { randomUUID } from "node:crypto";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deaf } from "../../support/faulty-clients.js";
import type { History } from "../../support/history.js";
import { seed } from "../../support/random.js";
import { begin, type Client, type Data, run, schedules } from "../../support/schedule.js";
import { until } from "../../support/wait.js";
import { Nodes } from "../support/nodes.js";

const CLIENTS = 3;
const STEPS = 14;
const MOVES = 5;
const TTL = 600_000;

/** How many steps at least while the leader changes; SESSION_TEST_OPERATIONS asks for more. */
const operations = Number(process.env.SESSION_TEST_OPERATIONS ?? 2000);

/** More than a replica that is alive is ever behind on a busy machine, in ms. */
const LAG = 10_000;

/** How long a client may take to see what the others have done. */
const AGREEMENT = 60_000;

describe("random schedules of clients at three nodes whose bucket changes its leader", {
  timeout: 600_000 + 20 * operations,
}, () => {
  let nodes: Nodes;
  beforeAll(async () => {
    console.log(`SESSION_TEST_SEED=${seed}`);
    nodes = await Nodes.start();
  });
  afterAll(() => nodes.close());

  /** A client at each node, each but the first with a near cache. */
  const open = async (): Promise<{ clients: Client[]; close: () => Promise<void> }> => {
    // Each operation outlives the election of a leader: none may fail here.
    const without = await nodes.open<Data>({ timeout: 60_000 });
    const cached = await nodes.open<Data>({ timeout: 60_000, cache: { maxStale: 1000 } });
    const stores = [without[0], ...cached.slice(1)] as typeof without;
    const close = async () => void (await Promise.all([...without, ...cached].map((store) => store.close())));
    return { clients: stores.map((store) => ({ store, lag: LAG })), close };
  };

  /** Each node must come to the same end, though a replica may be a little behind. */
  const agree = async (history: History, clients: readonly Client[], within: number) => {
    for (const { store } of clients) {
      let broken: string[] = [];
      const isWell = async () => {
        broken = history.finalViolations(await store.load(history.id));
        return broken.length === 0;
      };
      await until("every node to be in the right state", isWell, within).catch((error) => {
        throw new Error(`Broken: ${broken.join("\n")}`, { cause: error });
      });
    }
  };

  const check = async (clients: readonly Client[], from: number, numRuns: number, within = AGREEMENT) => {
    let steps = 0;
    const property = fc.asyncProperty(schedules(CLIENTS, STEPS), async (schedule) => {
      const history = await begin(clients[0] as Client, randomUUID(), TTL);
      await run(schedule, clients, history, TTL);
      steps += history.operations;
      const broken = history.violations();
      if (broken.length > 0) throw new Error(`Broken: ${broken.join("\n")}`);
      await agree(history, clients, within);
    });
    const result = await fc.check(property, { seed: seed + from, numRuns, endOnFailure: true });
    return { ...result, steps };
  };

  it("keep every promise", async () => {
    const { clients, close } = await open();
    let hasMoved = false;
    const moving = (async () => {
      for (let move = 0; move < MOVES; move++) await nodes.stepDown();
    })().finally(() => {
      hasMoved = true;
    });
    moving.catch(() => {}); // told where it is awaited
    let steps = 0;
    do {
      const result = await check(clients, steps, 10);
      expect(result.failed, String(result.errorInstance)).toBe(false);
      steps += result.steps;
    } while (!hasMoved || steps < operations);
    await moving;
    await close();
  });

  it("show a cache to which nothing is told", async () => {
    const { clients, close } = await open();
    const result = await check(clients.map(deaf), 0, 2000, 2000);
    expect(result.failed).toBe(true);
    expect(String(result.errorInstance)).toMatch(/^Error: Broken:/);
    await close();
  });
});
