// Requests of one browser that overlap: the tests run them over the core and both adapters, the benchmark counts
// what other stores lose or revive in those that are `compared`.
import { changes } from "./changes.mjs";
import { signOuts } from "./sign-outs.mjs";

/** @type {import("./scenarios.d.mts").Scenario[]} */
export const scenarios = [...changes, ...signOuts].map((scenario) => ({
  gone: [],
  failures: [],
  ended: scenario.left === null && scenario.data !== null,
  ...scenario,
}));
