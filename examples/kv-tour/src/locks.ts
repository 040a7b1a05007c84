import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { type JetStreamClient, jetstream } from "@nats-io/jetstream";
import type { KV } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { isConflict } from "./conflict.js";
import { checkKey } from "./key.js";
import { Lock } from "./lock.js";
import { openTtlBucket, serverTtl } from "./ttl.js";

export interface LocksOptions {
  /** Name of the bucket, created where it is missing. Default: `locks`. */
  bucket?: string;
}

export interface AcquireOptions {
  /**
   * How long the lock outlives a holder that dies, in ms, whole seconds from 1000 on. It is renewed three times
   * in this time. The server removes what is due within 1 to 2 s. Default: 10 000.
   */
  ttl?: number;
  /** How long to try while somebody else holds it, in ms. Default: 0, try once. */
  wait?: number;
}

/** Pause between two tries to get a lock, in ms. */
const PAUSE = 100;

/**
 * Locks for several processes. A lock is a key with a TTL that only one of them can create.
 *
 * A lock alone does not protect anything: a holder that stands still for longer than the TTL (a frozen process,
 * a lost connection) goes on afterwards as if it still had it. What it protects must refuse late holders by
 * their {@link Lock.fence}.
 */
export class Locks {
  readonly #js: JetStreamClient;
  readonly #kv: KV;
  readonly #bucket: string;

  private constructor(nc: NatsConnection, kv: KV, bucket: string) {
    this.#js = jetstream(nc);
    this.#kv = kv;
    this.#bucket = bucket;
  }

  /** Needs a server from 2.11 on. The connection stays the caller's; there is nothing to close. */
  static async open(nc: NatsConnection, { bucket = "locks" }: LocksOptions = {}): Promise<Locks> {
    return new Locks(nc, await openTtlBucket(nc, bucket), bucket);
  }

  /**
   * @returns the lock, or `undefined` where somebody else has held it all the time
   * @throws TypeError for a bad name or option; an error of the client where the server does not answer: then
   * the lock may have been taken nevertheless, until its TTL has passed
   */
  async acquire(name: string, { ttl = 10_000, wait = 0 }: AcquireOptions = {}): Promise<Lock | undefined> {
    checkKey(name);
    if (!(Number.isFinite(wait) && wait >= 0)) {
      throw new TypeError(`Expected \`wait\` in milliseconds, 0 or more, got ${wait}`);
    }
    const owner = randomUUID();
    const deadline = performance.now() + wait;
    for (;;) {
      const asked = performance.now();
      try {
        const revision = await this.#kv.create(name, owner, serverTtl(ttl));
        return new Lock(this.#js, this.#kv, this.#bucket, { name, owner, ttl, revision, asked });
      } catch (error) {
        if (!isConflict(error)) throw error;
      }
      if (performance.now() + PAUSE > deadline) return undefined;
      await sleep(PAUSE);
    }
  }
}
