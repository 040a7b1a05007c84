import {
  type JetStreamManager,
  jetstreamManager,
  type StreamConfig,
  type StreamInfo,
} from "@nats-io/jetstream";
import { SessionStoreError } from "../errors.js";
import type { NatsConnectionLike } from "../types.js";
import { now, sleep } from "../util/timers.js";
import { isSilence, managementError, mayPass, serverErrorCode } from "./api-errors.js";
import { FIRST_PAUSE, longer } from "./backoff.js";
import { flushing } from "./flush.js";
import { checkServerVersion, isAtLeast } from "./server-versions.js";
import {
  type BucketOptions,
  type Difference,
  differences,
  fixedConfig,
  maxTtlIn,
  newBucketConfig,
  type ServerTraits,
} from "./stream-config.js";
import type { Subjects } from "./subjects.js";

/** What the store needs to know of the bucket's stream. */
export interface StreamFacts {
  /** Whether the server removes each entry by its own TTL; else the bucket's TTL and the exact check on read do. */
  readonly ttls: boolean;
  /** How many there were when the bucket was opened. */
  readonly replicas: number;
  /** Where the bucket republishes its writes, if it does. */
  readonly changes: string | undefined;
  /** How long the bucket keeps an entry at most, in ms. */
  readonly maxAge: number;
  /** The longest time to live of a session, in ms. */
  readonly maxTtl: number;
  /** Largest entry in bytes, headers included; -1 = as the server allows. */
  readonly maxMessageSize: number;
}

/** The bucket's stream as the server has it. */
export interface FoundStream {
  readonly config: StreamConfig;
  /** Whether it lies in a cluster, so that there can be more than one copy of it. */
  readonly isClustered: boolean;
}

/** Receives what the opening of a bucket finds. */
export interface OpeningListener {
  /** A server has said why the bucket cannot be opened now; it is asked again. */
  refused(why: Error): void;
  /** The bucket is missing. Rejects where it must not be created. */
  missing(): Promise<void>;
  /** The bucket was missing and has been created. */
  created(): void;
  /** The bucket can be used as it is, but lacks what the server could do for it. */
  isOld(differences: string): void;
}

/** The subject to which a bucket republishes its writes, where it republishes all of them. */
export function changesSubject(
  republish: { src?: string; dest: string } | undefined,
  subjects: Subjects,
): string | undefined {
  const isAll = ["", ">", subjects.all, undefined].includes(republish?.src);
  return isAll ? republish?.dest : undefined;
}

/** Less time than this is not worth another try, in ms. */
const LEAST_TRY = 50;

const STREAM_NOT_FOUND = 10059;

/** A stream of that name is there, or one with such subjects. */
const TAKEN: ReadonlySet<unknown> = new Set([10058, 10065]);

/**
 * Opens the bucket, creates it where it is missing, or says exactly why it cannot be used.
 * @throws `ERR_SESSION_SERVER_VERSION`, `ERR_SESSION_BUCKET_MISSING`, `ERR_SESSION_BUCKET_MISMATCH`,
 * `ERR_SESSION_JETSTREAM_OFF`, `ERR_SESSION_PERMISSION`, `ERR_SESSION_UNAVAILABLE`, `ERR_SESSION_SERVER`
 */
export async function openStream(
  nc: NatsConnectionLike,
  options: BucketOptions,
  subjects: Subjects,
  deadline: number,
  on: OpeningListener,
): Promise<StreamFacts> {
  checkServerVersion(nc.info?.version);
  try {
    const refused = (why: unknown) => on.refused(managementError(why, subjects));
    let found = await find(nc, subjects, deadline, refused);
    if (!found) {
      await on.missing();
      found = await create(nc, options, subjects, deadline);
      on.created();
    }
    const config = await fix(nc, found, options, subjects, deadline, on);
    return factsOf(config, options, subjects);
  } catch (error) {
    throw managementError(error, subjects);
  }
}

function factsOf(config: StreamConfig, options: BucketOptions, subjects: Subjects): StreamFacts {
  return {
    ttls: config.allow_msg_ttl === true,
    changes: changesSubject(config.republish, subjects),
    maxAge: config.max_age > 0 ? config.max_age / 1e6 : Number.POSITIVE_INFINITY,
    maxTtl: maxTtlIn(config, options),
    replicas: config.num_replicas,
    maxMessageSize: config.max_msg_size ?? -1,
  };
}

export async function find(
  nc: NatsConnectionLike,
  subjects: Subjects,
  deadline: number,
  onRefused?: (why: unknown) => void,
): Promise<FoundStream | undefined> {
  const ask = (streams: JetStreamManager["streams"]) => streams.info(subjects.stream);
  try {
    return foundIn(await manage(nc, subjects, deadline, ask, onRefused));
  } catch (error) {
    if (serverErrorCode(error) === STREAM_NOT_FOUND) return undefined;
    throw error;
  }
}

/** A server alone names a leader, itself, and no cluster. */
function foundIn({ config, cluster }: StreamInfo): FoundStream {
  return { config, isClustered: cluster?.name !== undefined };
}

async function create(
  nc: NatsConnectionLike,
  options: BucketOptions,
  subjects: Subjects,
  deadline: number,
): Promise<FoundStream> {
  if (!options.createBucket) {
    throw new SessionStoreError(
      "ERR_SESSION_BUCKET_MISSING",
      `There is no bucket ${subjects.title}, and \`createBucket\` is false. Create it (nats kv add), or open the store once with \`createBucket: true\`.`,
    );
  }
  const config = { ...newBucketConfig(options, subjects, traitsOf(nc)), name: subjects.stream };
  try {
    return foundIn(await manage(nc, subjects, deadline, (streams) => streams.add(config)));
  } catch (error) {
    if (!TAKEN.has(serverErrorCode(error))) throw error;
    // Another process was faster, perhaps with other options; its bucket is checked like any other.
    // A busy server takes its time until it can be found; half of the time left is for that.
    const patience = (now() + deadline) / 2;
    for (let pause = FIRST_PAUSE; ; pause = longer(pause)) {
      const theirs = await find(nc, subjects, deadline);
      if (theirs) return theirs;
      if (now() + pause > patience) throw error;
      await sleep(pause);
    }
  }
}

async function fix(
  nc: NatsConnectionLike,
  { config: found, isClustered }: FoundStream,
  options: BucketOptions,
  subjects: Subjects,
  deadline: number,
  on: OpeningListener,
): Promise<StreamConfig> {
  const server = traitsOf(nc);
  const list = differences(found, options, subjects, server.ttls, isClustered);
  const problems = list.filter(({ optional }) => !optional);
  const final = problems.filter(({ fixable }) => !fixable);
  const lacksFeed = !found.republish && options.republish;
  if (final.length > 0 || (problems.length > 0 && !options.updateBucket)) {
    throw mismatch(subjects, problems, final.length === 0);
  }
  if (!options.updateBucket) {
    if (list.length > 0) on.isOld(textOf(list));
    return found;
  }
  if (list.length === 0 && !lacksFeed) return found;

  const wanted = fixedConfig(found, list, options, subjects, server);
  const { config } = await manage(nc, subjects, deadline, (streams) =>
    streams.update(subjects.stream, wanted),
  );
  // A server that does not know a field drops it silently.
  const left = differences(config, options, subjects, server.ttls, isClustered);
  if (left.length > 0) throw mismatch(subjects, left, false);
  return config;
}

/** The error for a bucket that differs from what the store needs. `fixable`: by `updateBucket: true`. */
export function mismatch({ title }: Subjects, list: Difference[], fixable: boolean): SessionStoreError {
  const cure = fixable
    ? "Open the store with `updateBucket: true` to change it, or use another bucket."
    : "This cannot be changed in place: use another bucket, or other options.";
  return new SessionStoreError(
    "ERR_SESSION_BUCKET_MISMATCH",
    `The bucket ${title} does not fit: ${textOf(list)}. ${cure}`,
  );
}

function textOf(list: Difference[]): string {
  const texts = list.map(
    ({ field, found, wanted, why }) =>
      `${field} is ${JSON.stringify(found) ?? "not set"}, expected ${JSON.stringify(wanted)} (${why})`,
  );
  return texts.join("; ");
}

/** Per-message TTLs came with server 2.11 (ADR-43); older servers drop the setting and ignore the header. */
export function traitsOf({ info }: NatsConnectionLike): ServerTraits {
  return { ttls: isAtLeast(info?.version ?? "0.0", "2.11.0"), domain: info?.domain || undefined };
}

/**
 * Asks JetStream something about a stream, through the client's own JetStream package. All that is asked here
 * may be asked twice, so it is asked again where an answer was lost or a cluster has no leader at the moment.
 * @param onRefused called with the last answer that was an error, before it is asked again
 */
export async function manage<T>(
  nc: NatsConnectionLike,
  { api, isElsewhere }: Subjects,
  deadline: number,
  ask: (streams: JetStreamManager["streams"], manager: JetStreamManager) => Promise<T>,
  onRefused?: (why: unknown) => void,
): Promise<T> {
  let told: unknown;
  for (let pause = FIRST_PAUSE; ; pause = longer(pause)) {
    const left = Math.max(1, deadline - now());
    try {
      // Both generations of the client serve as its connection.
      const options = { apiPrefix: api, checkAPI: false, timeout: Math.ceil(left / 3) };
      const manager = await jetstreamManager(nc as never, options);
      return await flushing(nc, ask(manager.streams, manager));
    } catch (error) {
      // What a server has said tells more than that it did not say it again in what little time was left.
      if (!isSilence(error)) told = error;
      const isLast = deadline - now() - pause < LEAST_TRY;
      if (isLast || !mayPass(error, isElsewhere || nc.info?.jetstream === true)) throw told ?? error;
      if (told !== undefined) onRefused?.(told);
      await sleep(pause);
    }
  }
}
