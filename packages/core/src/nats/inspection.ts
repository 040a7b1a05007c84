import type { StreamInfo } from "@nats-io/jetstream";
import type { NatsConnectionLike } from "../types.js";
import { managementError } from "./api-errors.js";
import { serverFaultOf } from "./server-versions.js";
import { changesSubject, manage } from "./stream.js";
import type { Subjects } from "./subjects.js";

/** The server that the connection leads to. */
export interface ServerReport {
  readonly name: string | undefined;
  readonly version: string | undefined;
  readonly jetstream: boolean;
  /** The largest message that it takes, in bytes. */
  readonly maxPayload: number | undefined;
  /** What is wrong with this version that matters to sessions with a TTL per message. */
  readonly fault: string | undefined;
}

/** A copy of the bucket on another server of the cluster. */
export interface ReplicaReport {
  readonly name: string;
  readonly current: boolean;
  readonly offline: boolean;
  /** How many operations it is behind. */
  readonly lag: number;
}

/** A stream that mirrors the bucket. */
export interface MirrorReport {
  readonly name: string;
  /** Whether it answers reads of the bucket (`mirror_direct`). */
  readonly answersReads: boolean;
  /** How many entries it is behind. */
  readonly lag: number;
  readonly error: string | undefined;
}

/** What the server says of the bucket's stream. */
export interface StreamReport {
  readonly createdAt: number;
  readonly entries: number;
  /** Bytes that the stream takes on each of its servers. */
  readonly bytes: number;
  /** `undefined` = no limit. */
  readonly maxBytes: number | undefined;
  readonly maxMessageSize: number | undefined;
  readonly storage: "file" | "memory";
  readonly replicas: number;
  readonly republishes: boolean;
  /** Whether the stream is itself a mirror of another one: nothing can be written to it. */
  readonly isMirror: boolean;
  /** `undefined` on a server that is not in a cluster. */
  readonly cluster:
    | {
        readonly name: string;
        readonly leader: string | undefined;
        readonly others: readonly ReplicaReport[];
      }
    | undefined;
}

/** How much of a limit of the account is used, in bytes or pieces; `limit` is `undefined` where there is none. */
export interface Usage {
  readonly used: number;
  readonly limit: number | undefined;
}

/** What the account may store, and how much it does. */
export interface AccountReport {
  readonly storage: Usage;
  readonly memory: Usage;
  readonly streams: Usage;
  /** Tier of the limits, such as `R3`, in an account that has tiers. */
  readonly tier: string | undefined;
}

/** What an account, or a tier of it, uses and may use, as servers from 2.10 on say it. */
interface AccountUsage {
  readonly storage: number;
  readonly reserved_storage?: number;
  readonly memory: number;
  readonly reserved_memory?: number;
  readonly streams: number;
  readonly limits: {
    readonly max_storage: number;
    readonly max_memory: number;
    readonly max_streams: number;
  };
}

export function inspectServer(nc: NatsConnectionLike, ttls: boolean): ServerReport {
  const { info } = nc;
  return {
    name: (info as { server_name?: string } | undefined)?.server_name,
    version: info?.version,
    jetstream: info?.jetstream === true,
    maxPayload: info?.max_payload,
    fault: info && serverFaultOf(info.version, { ttls }),
  };
}

export async function inspectStream(
  nc: NatsConnectionLike,
  subjects: Subjects,
  deadline: number,
): Promise<StreamReport> {
  const info = await asked(subjects, () =>
    manage(nc, subjects, deadline, (streams) => streams.info(subjects.stream)),
  );
  const { config, state, cluster } = info;
  return {
    createdAt: Date.parse(info.created),
    entries: state.messages,
    bytes: state.bytes,
    maxBytes: limitIn(config.max_bytes),
    maxMessageSize: limitIn(config.max_msg_size),
    storage: config.storage,
    replicas: config.num_replicas,
    republishes: config.republish !== undefined,
    isMirror: config.mirror !== undefined,
    cluster: cluster?.name
      ? {
          name: cluster.name,
          leader: cluster.leader || undefined,
          others: (cluster.replicas ?? []).map(({ name, current, offline, lag }) => ({
            name,
            current,
            offline: offline === true,
            lag: lag ?? 0,
          })),
        }
      : undefined,
  };
}

/** Where the bucket republishes its writes; `undefined` where it does not. */
export async function feedOf(
  nc: NatsConnectionLike,
  subjects: Subjects,
  deadline: number,
): Promise<string | undefined> {
  const { config } = await manage(nc, subjects, deadline, (streams) => streams.info(subjects.stream));
  return changesSubject(config.republish, subjects);
}

/** The mirrors of the bucket in this account. */
export async function inspectMirrors(
  nc: NatsConnectionLike,
  subjects: Subjects,
  deadline: number,
): Promise<MirrorReport[]> {
  return asked(subjects, () =>
    manage(nc, subjects, deadline, async (streams) => {
      const mirrors: MirrorReport[] = [];
      for await (const info of streams.list()) {
        if (info.config.mirror?.name === subjects.stream) mirrors.push(mirrorIn(info));
      }
      return mirrors;
    }),
  );
}

/** The limits of the account, of the tier for so many replicas where it has tiers. */
export async function inspectAccount(
  nc: NatsConnectionLike,
  subjects: Subjects,
  replicas: number,
  deadline: number,
): Promise<AccountReport> {
  const account: AccountUsage & { readonly tiers?: { readonly [tier: string]: AccountUsage } } = await asked(
    subjects,
    () => manage(nc, subjects, deadline, (_streams, manager) => manager.getAccountInfo()),
  );
  const name = `R${replicas}`;
  const tier = account.tiers?.[name];
  return { ...usageIn(tier ?? account), tier: tier && name };
}

function usageIn({ limits, ...used }: AccountUsage): Omit<AccountReport, "tier"> {
  return {
    storage: { used: Math.max(used.storage, used.reserved_storage ?? 0), limit: limitIn(limits.max_storage) },
    memory: { used: Math.max(used.memory, used.reserved_memory ?? 0), limit: limitIn(limits.max_memory) },
    streams: { used: used.streams, limit: limitIn(limits.max_streams) },
  };
}

function mirrorIn({ config, mirror }: StreamInfo): MirrorReport {
  return {
    name: config.name,
    answersReads: (config as { mirror_direct?: boolean }).mirror_direct === true,
    lag: mirror?.lag ?? 0,
    error: mirror?.error?.description,
  };
}

/** The server writes -1, or 0 for the size of a message, where there is no limit. */
function limitIn(value: number | undefined): number | undefined {
  return value !== undefined && value > 0 ? value : undefined;
}

async function asked<T>(subjects: Subjects, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw managementError(error, subjects);
  }
}
