import { setTimeout as sleep } from "node:timers/promises";
import { type JetStreamManager, jetstreamManager, type StreamConfig } from "@nats-io/jetstream";
import { SessionStoreError } from "../errors.js";
import type { ResolvedOptions } from "../options.js";
import type { NatsConnectionLike } from "../types.js";
import { type Difference, differences, mendedConfig, newBucketConfig } from "./bucket-config.js";
import { changesSubject } from "./changes.js";
import { isSilence, managementError, mayPass, serverErrorCode } from "./failure.js";
import { FIRST_PAUSE, longer } from "./pause.js";
import type { Subjects } from "./subjects.js";

/** What the store needs to know of the bucket that it uses. */
export interface Bucket {
  /** Whether the server removes each entry by its own TTL; else the bucket's TTL and the exact check on read do. */
  readonly ttls: boolean;
  /** Whether reads may be answered by a replica that lags behind. */
  readonly replicated: boolean;
  /** Where the bucket republishes its writes, if it does. */
  readonly changes: string | undefined;
  /** How long the bucket keeps an entry at most, in ms. */
  readonly maxAge: number;
  /** Whether the bucket has a `maxBytes`. */
  readonly limited: boolean;
  /** Largest entry in bytes, headers included; -1 = as the server allows. */
  readonly maxMessageSize: number;
}

/** Less time than this is not worth another try, in ms. */
const LEAST_TRY = 50;

const STREAM_NOT_FOUND = 10059;

/** A stream of that name, or one with such subjects, is there; 2.9 says the latter of one that is being created. */
const TAKEN: ReadonlySet<unknown> = new Set([10058, 10065]);

/**
 * Opens the bucket, creates it where it is missing, or says exactly why it cannot be used.
 * @throws `ERR_SESSION_BUCKET_MISSING`, `ERR_SESSION_BUCKET_MISMATCH`, `ERR_SESSION_JETSTREAM_OFF`,
 * `ERR_SESSION_PERMISSION`, `ERR_SESSION_UNAVAILABLE`, `ERR_SESSION_SERVER`
 */
export async function openBucket(
  nc: NatsConnectionLike,
  options: ResolvedOptions,
  subjects: Subjects,
): Promise<Bucket> {
  const deadline = performance.now() + options.timeout;
  try {
    const found = (await find(nc, subjects, deadline)) ?? (await create(nc, options, subjects, deadline));
    const config = await mend(nc, found, options, subjects, deadline);
    return {
      ttls: config.allow_msg_ttl === true,
      changes: changesSubject(config.republish, subjects),
      maxAge: config.max_age > 0 ? config.max_age / 1e6 : Number.POSITIVE_INFINITY,
      replicated: config.num_replicas > 1,
      limited: config.max_bytes > 0,
      maxMessageSize: config.max_msg_size ?? -1,
    };
  } catch (error) {
    throw managementError(error, subjects.stream);
  }
}

/** Counters of the bucket: how many entries there are, and which sequence numbers they lie between. */
export interface BucketState {
  readonly entries: number;
  readonly first: number;
  readonly last: number;
}

export async function bucketState(
  nc: NatsConnectionLike,
  subjects: Subjects,
  timeout: number,
): Promise<BucketState> {
  try {
    const deadline = performance.now() + timeout;
    const { state } = await manage(nc, deadline, (streams) => streams.info(subjects.stream));
    return { entries: state.messages, first: state.first_seq, last: state.last_seq };
  } catch (error) {
    throw managementError(error, subjects.stream);
  }
}

async function find(
  nc: NatsConnectionLike,
  subjects: Subjects,
  deadline: number,
): Promise<StreamConfig | undefined> {
  try {
    return (await manage(nc, deadline, (streams) => streams.info(subjects.stream))).config;
  } catch (error) {
    if (serverErrorCode(error) === STREAM_NOT_FOUND) return undefined;
    throw error;
  }
}

async function create(
  nc: NatsConnectionLike,
  options: ResolvedOptions,
  subjects: Subjects,
  deadline: number,
): Promise<StreamConfig> {
  if (!options.createBucket) {
    throw new SessionStoreError(
      "ERR_SESSION_BUCKET_MISSING",
      `There is no bucket "${options.bucket}", and \`createBucket\` is false. Create it (nats kv add), or open the store once with \`createBucket: true\`.`,
    );
  }
  const config = { ...newBucketConfig(options, subjects, hasMessageTtl(nc)), name: subjects.stream };
  try {
    return (await manage(nc, deadline, (streams) => streams.add(config))).config;
  } catch (error) {
    if (!TAKEN.has(serverErrorCode(error))) throw error;
    // Another process was faster, with other options; what it made is checked like any bucket we find.
    // A busy server takes its time until it can be found; half of the time left is for that.
    const patience = (performance.now() + deadline) / 2;
    for (let pause = FIRST_PAUSE; ; pause = longer(pause)) {
      const theirs = await find(nc, subjects, deadline);
      if (theirs) return theirs;
      if (performance.now() + pause > patience) throw error;
      await sleep(pause);
    }
  }
}

async function mend(
  nc: NatsConnectionLike,
  found: StreamConfig,
  options: ResolvedOptions,
  subjects: Subjects,
  deadline: number,
): Promise<StreamConfig> {
  const ttls = hasMessageTtl(nc);
  const list = differences(found, options, subjects, ttls);
  const final = list.filter(({ mendable }) => !mendable);
  const lacksFeed = !found.republish && canAddFeed(nc);
  const asIs = list.length === 0 && !(options.updateBucket && lacksFeed);
  if (asIs) return found;
  if (final.length > 0 || !options.updateBucket) throw mismatch(options.bucket, list, final.length === 0);

  const wanted = mendedConfig(found, list, subjects, lacksFeed);
  const { config } = await manage(nc, deadline, (streams) => streams.update(subjects.stream, wanted));
  // A server that does not know a field drops it without a word.
  const left = differences(config, options, subjects, ttls);
  if (left.length > 0) throw mismatch(options.bucket, left, false);
  return config;
}

/** The error for a bucket that differs from what the store needs. `mendable`: by `updateBucket: true`. */
export function mismatch(bucket: string, list: Difference[], mendable: boolean): SessionStoreError {
  const found = list.map(
    ({ field, found, wanted, why }) =>
      `${field} is ${JSON.stringify(found) ?? "not set"}, expected ${JSON.stringify(wanted)} (${why})`,
  );
  const mend = mendable
    ? "Open the store with `updateBucket: true` to change it, or use another bucket."
    : "This cannot be changed in place: use another bucket, or other options.";
  return new SessionStoreError(
    "ERR_SESSION_BUCKET_MISMATCH",
    `The bucket "${bucket}" does not fit: ${found.join("; ")}. ${mend}`,
  );
}

/** Per-message TTLs came with server 2.11 (ADR-43); older servers drop the setting and ignore the header. */
function hasMessageTtl(nc: NatsConnectionLike): boolean {
  return isAtLeast(nc, 2, 11);
}

/** Servers before 2.10 can republish, but not begin to in a stream that exists. */
function canAddFeed(nc: NatsConnectionLike): boolean {
  return isAtLeast(nc, 2, 10);
}

function isAtLeast(nc: NatsConnectionLike, wantedMajor: number, wantedMinor: number): boolean {
  const [major = 0, minor = 0] = (nc.info?.version ?? "0.0").split(".").map(Number);
  return major > wantedMajor || (major === wantedMajor && minor >= wantedMinor);
}

/**
 * Asks JetStream something about a stream, through the client's own JetStream package. All that is asked here
 * may be asked twice, so it is asked again where an answer was lost or a cluster has no leader at the moment.
 */
async function manage<T>(
  nc: NatsConnectionLike,
  deadline: number,
  ask: (streams: JetStreamManager["streams"]) => Promise<T>,
): Promise<T> {
  let told: unknown;
  for (let pause = FIRST_PAUSE; ; pause = longer(pause)) {
    const left = Math.max(1, deadline - performance.now());
    try {
      // Both generations of the client serve as its connection.
      const manager = await jetstreamManager(nc as never, { checkAPI: false, timeout: Math.ceil(left / 3) });
      return await ask(manager.streams);
    } catch (error) {
      // What a server has said tells more than that it did not say it again in what little time was left.
      if (!isSilence(error)) told = error;
      const isLast = deadline - performance.now() - pause < LEAST_TRY;
      if (isLast || !mayPass(error, nc.info?.jetstream === true)) throw told ?? error;
      await sleep(pause);
    }
  }
}
