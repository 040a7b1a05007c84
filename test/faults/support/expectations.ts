import { expect } from "vitest";
import { until } from "../../support/wait.js";
import { pendingRequests } from "./pending.js";

/** How much later than its `timeout` an operation may reject on a busy machine, in ms. */
export const LITTLE = 1000;

/** How often, or how long, in the short form of the suite and in the whole one. */
export function rounds(short: number, whole: number): number {
  return process.env.SESSION_TEST_FAULTS === "whole" ? whole : short;
}

/** No store has kept a request that nobody will answer. */
export async function expectNothingPending(): Promise<void> {
  await until("no pending requests", async () => (await pendingRequests()) === 0, 5000).catch(() => {});
  expect(await pendingRequests()).toBe(0);
}
