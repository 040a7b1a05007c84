export { Config, type ConfigOptions } from "./config.js";
export { Discovery, type DiscoveryOptions, type Instance, type RegisterOptions } from "./discovery.js";
export { writeFenced } from "./fenced.js";
export { Flags, type FlagsOptions } from "./flags.js";
export type { Lock } from "./lock.js";
export { type AcquireOptions, Locks, type LocksOptions } from "./locks.js";
export { steps } from "./steps/index.js";
export type { Step, Tour } from "./tour.js";
export { Worker } from "./worker.js";
