import { expect } from "vitest";
import { clients } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { pendingRequests } from "./pending.js";

/** How much later than its `timeout` an operation may reject on a busy machine that does not stand still, in ms. */
export const LITTLE = 2000;

const isWhole = process.env.SESSION_TEST_FAULTS === "whole";

/** How often, or how long, in the short form of the suite and in the whole one. */
export function rounds(short: number, whole: number): number {
  return isWhole ? whole : short;
}

/** Both generations of the client, in the short form the newer one. */
export const clientsUnderFaults = Object.entries(clients).slice(0, rounds(1, 2));

/** No store has kept a request that nobody will answer. */
export async function expectNothingPending(): Promise<void> {
  await until("no pending requests", async () => (await pendingRequests()) === 0, 15_000).catch(() => {});
  expect(await pendingRequests()).toBe(0);
}
