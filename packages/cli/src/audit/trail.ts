import {
  DeliverPolicy,
  type JetStreamClient,
  type JetStreamManager,
  type JetStreamOptions,
  jetstream,
  jetstreamManager,
} from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";
import { CommandError } from "../exit.js";

/** `signed-in`: a session began to be a user's. `renewed`: it goes on under another handle. */
export type AuditEvent = "signed-in" | "signed-out" | "expired" | "renewed";

/** One message of the trail. */
export interface AuditRecord {
  readonly event: AuditEvent;
  /** Unix ms. */
  readonly at: number;
  readonly handle: string;
  readonly userHash: string;
  readonly movedTo: string | undefined;
  /** Number of the write in the bucket. */
  readonly revision: number;
  /** The trail holds everything up to these numbers of the buckets, in the order of the buckets. */
  readonly through: readonly number[];
}

export interface TrailOptions {
  /** How long records are kept, in ms. */
  readonly keep: number;
  readonly replicas: number;
}

const NANOSECONDS = 1e6;
const STREAM_NOT_FOUND = 10059;

/**
 * An audit trail: a stream with a message for each sign-in and each end, under `<stream>.<hash of the user>.<handle>`.
 * The server removes what is older than the trail keeps, and lets no client remove anything.
 */
export class AuditTrail {
  readonly #manager: JetStreamManager;
  readonly #client: JetStreamClient;
  readonly #stream: string;

  private constructor(manager: JetStreamManager, client: JetStreamClient, stream: string) {
    this.#manager = manager;
    this.#client = client;
    this.#stream = stream;
  }

  /** @param api where JetStream is: in a domain, or behind a prefix */
  static async of(
    nc: NatsConnection,
    stream: string,
    api: { readonly [name in "domain" | "apiPrefix" | "timeout"]?: JetStreamOptions[name] | undefined },
  ): Promise<AuditTrail> {
    const options = Object.fromEntries(Object.entries(api).filter(([, value]) => value !== undefined));
    const manager = await jetstreamManager(nc, { checkAPI: false, ...options });
    return new AuditTrail(manager, jetstream(nc, options), stream);
  }

  /** @throws CommandError where there is no such stream */
  async require(): Promise<void> {
    if (await this.#exists()) return;
    throw new CommandError(
      `There is no audit trail "${this.#stream}"; nats-sessions audit --record begins one`,
    );
  }

  /** Makes the stream where it is missing. @returns whether it did */
  async create({ keep, replicas }: TrailOptions): Promise<boolean> {
    if (await this.#exists()) return false;
    await this.#manager.streams.add({
      name: this.#stream,
      description: "Audit trail of sessions",
      subjects: [`${this.#stream}.*.*`],
      max_age: keep * NANOSECONDS,
      num_replicas: replicas,
      deny_delete: true,
      deny_purge: true,
      allow_direct: true,
    });
    return true;
  }

  /** Two recorders of one bucket store a record once: the server drops the second within two minutes. */
  async append(record: AuditRecord): Promise<void> {
    const { event, at, handle, userHash, movedTo, revision, through: all } = record;
    const through = all.length === 1 ? all[0] : all;
    const message = { event, at: new Date(at).toISOString(), handle, userHash, movedTo, revision, through };
    await this.#client.publish(`${this.#stream}.${userHash}.${handle}`, JSON.stringify(message), {
      msgID: `${handle} ${revision} ${event}`,
    });
  }

  /** The newest record, or the newest of one session. */
  async last(handle = "*"): Promise<AuditRecord | undefined> {
    const query = { last_by_subj: `${this.#stream}.*.${handle}` };
    const message = await this.#manager.streams.getMessage(this.#stream, query);
    return message ? recordIn(message.string()) : undefined;
  }

  /**
   * The records up to now, oldest first.
   * @param userHashes only of this user
   * @param since in Unix ms
   */
  async *read(
    userHashes: readonly string[] | undefined,
    since: number | undefined,
  ): AsyncGenerator<AuditRecord> {
    const filters = userHashes?.map((hash) => `${this.#stream}.${hash}.*`);
    const consumer = await this.#client.consumers.get(this.#stream, {
      ...(filters ? { filter_subjects: filters } : {}),
      ...(since === undefined
        ? { deliver_policy: DeliverPolicy.All }
        : { deliver_policy: DeliverPolicy.StartTime, opt_start_time: new Date(since).toISOString() }),
    });
    if ((await consumer.info()).num_pending === 0) return;
    const messages = await consumer.consume();
    for await (const message of messages) {
      const record = recordIn(message.string());
      if (record && (since === undefined || record.at >= since)) yield record;
      if (message.info.pending === 0) break;
    }
  }

  async #exists(): Promise<boolean> {
    try {
      await this.#manager.streams.info(this.#stream);
      return true;
    } catch (error) {
      if ((error as { code?: number }).code === STREAM_NOT_FOUND) return false;
      throw error;
    }
  }
}

/** What a stored record has in another form; `through` is a list where there are several buckets. */
interface Stored {
  readonly at: string;
  readonly through?: number | readonly number[];
}

/** Another client may have written something else there. */
function recordIn(text: string): AuditRecord | undefined {
  try {
    const { at, through, ...rest } = JSON.parse(text) as Omit<AuditRecord, "at" | "through"> & Stored;
    return { ...rest, at: Date.parse(at), through: [through ?? 0].flat() };
  } catch {
    return undefined;
  }
}
