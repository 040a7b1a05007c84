import type { ResolvedOptions } from "../options.js";
import { warnOfServerFault } from "../server-warning.js";
import type { NatsConnectionLike } from "../types.js";
import { type BucketState, bucketState, openBucket } from "./bucket.js";
import { type ChangesListener, watchChanges } from "./changes.js";
import { Diagnosis } from "./diagnosis.js";
import { Entries } from "./entries.js";
import { Mux } from "./mux.js";
import { subjectsOf } from "./subjects.js";

export type { BucketState } from "./bucket.js";
export type { Entries, Header, Position, WriteAnswer } from "./entries.js";
export { isUnavailable, unavailable } from "./failure.js";
export type { Entry } from "./reply.js";
export { walk, walkToEnd } from "./walk.js";

/** A bucket that is open: its entries and its counters. */
export interface BucketConnection {
  readonly entries: Entries;
  /** Whether the server removes each entry by its own TTL. */
  readonly ttls: boolean;
  /** How long the bucket keeps an entry at most, in ms. */
  readonly maxAge: number;
  /** The key of an entry from its subject. */
  keyOf(subject: string): string;
  state(): Promise<BucketState>;
  /** Listens to all writes to the bucket; nothing where they are not republished. @returns what ends it */
  watchChanges(listener: ChangesListener): (() => void) | undefined;
  /** Ends the subscription; the NATS connection is left alone. */
  close(): void;
}

/** Opens the bucket over the caller's connection; see `openBucket` for what can go wrong. */
export async function connectBucket(
  nc: NatsConnectionLike,
  options: ResolvedOptions,
): Promise<BucketConnection> {
  const subjects = subjectsOf(options.bucket);
  const bucket = await openBucket(nc, options, subjects);
  warnOfServerFault(nc.info?.version, bucket);
  const mux = new Mux(nc, options.timeout);
  return {
    entries: new Entries(mux, subjects, bucket, new Diagnosis(mux, subjects, options, bucket.ttls)),
    ttls: bucket.ttls,
    maxAge: bucket.maxAge,
    keyOf: (subject) => subject.slice(subjects.entry.length),
    watchChanges: (listener) =>
      bucket.changes === undefined ? undefined : watchChanges(nc, subjects, bucket.changes, listener),
    state: () => bucketState(nc, subjects, options.timeout),
    close: () => mux.close(),
  };
}
