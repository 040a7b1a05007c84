import type { JetStreamClient } from "@nats-io/jetstream";
import type { KV } from "@nats-io/kv";
import { isConflict } from "./conflict.js";
import { serverTtl } from "./ttl.js";

/** A lock that this process holds until it is released or lost. It renews itself. */
export class Lock {
  readonly name: string;
  /**
   * The fencing number: the revision at which the lock was taken. Later holders always get a higher one (as long
   * as the bucket is not deleted), so whoever has seen a number can refuse all lower ones.
   */
  readonly fence: number;
  readonly #js: JetStreamClient;
  readonly #kv: KV;
  readonly #subject: string;
  readonly #owner: string;
  readonly #ttl: number;
  readonly #lost = new AbortController();
  readonly #renewals: NodeJS.Timeout;
  #expiry: NodeJS.Timeout | undefined;
  #revision: number;
  #heldUntil = 0;
  #renewal = Promise.resolve(true);

  /** Made by `Locks.acquire`. `asked`: when the lock was asked for, by `performance.now()`. */
  constructor(
    js: JetStreamClient,
    kv: KV,
    bucket: string,
    taken: { name: string; owner: string; ttl: number; revision: number; asked: number },
  ) {
    this.#js = js;
    this.#kv = kv;
    this.#subject = `$KV.${bucket}.${taken.name}`;
    this.name = taken.name;
    this.#owner = taken.owner;
    this.#ttl = taken.ttl;
    this.fence = taken.revision;
    this.#revision = taken.revision;
    this.#prolong(taken.asked);
    this.#renewals = setInterval(() => void this.renew(), taken.ttl / 3).unref();
  }

  /** Whether it is certainly ours, by this process's clock: false from the moment on when it could have expired. */
  get held(): boolean {
    return performance.now() < this.#heldUntil;
  }

  /** Aborted when the lock is lost before it was released: the holder should stop what it does under it. */
  get signal(): AbortSignal {
    return this.#lost.signal;
  }

  /** Renews it now; this also happens by itself. @returns whether it is still held */
  renew(): Promise<boolean> {
    this.#renewal = this.#renewal.then(() => this.#renew());
    return this.#renewal;
  }

  /**
   * Gives it up, unless it has passed to somebody else meanwhile: that holder's lock is not touched.
   * @returns whether it was still ours
   * @throws an error of the client where the server does not answer; the lock then ends by its TTL
   */
  async release(): Promise<boolean> {
    clearInterval(this.#renewals);
    await this.#renewal;
    const wasHeld = this.held;
    this.#end();
    if (!wasHeld) return false;
    try {
      await this.#kv.delete(this.name, { previousSeq: this.#revision });
      return true;
    } catch (error) {
      if (isConflict(error)) return false;
      throw error;
    }
  }

  async #renew(): Promise<boolean> {
    const asked = performance.now();
    if (!this.held) return false;
    try {
      // kv.update() takes no TTL, and a write without one would hold the lock for ever.
      const { seq } = await this.#js.publish(this.#subject, this.#owner, {
        ttl: serverTtl(this.#ttl),
        timeout: Math.ceil(this.#ttl / 3),
        expect: { lastSubjectSequence: this.#revision },
      });
      this.#revision = seq;
      this.#prolong(asked);
    } catch (error) {
      if (isConflict(error)) await this.#lookAgain();
      // Without an answer: the next renewal tries again, until the time is over.
    }
    return this.held;
  }

  /** There is another revision: somebody else's, or that of a renewal of ours whose answer was lost. */
  async #lookAgain(): Promise<void> {
    const entry = await this.#kv.get(this.name).catch(() => undefined);
    if (entry === undefined) return;
    if (entry?.operation === "PUT" && entry.string() === this.#owner) this.#revision = entry.revision;
    else this.#lose("it has expired or was deleted");
  }

  #prolong(asked: number): void {
    // Counted from before the request, so that it ends here before it ends at the server.
    this.#heldUntil = asked + this.#ttl;
    clearTimeout(this.#expiry);
    const why = "it could not be renewed in time";
    this.#expiry = setTimeout(() => this.#lose(why), this.#heldUntil - performance.now()).unref();
  }

  #lose(why: string): void {
    this.#end();
    this.#lost.abort(new Error(`The lock "${this.name}" is lost: ${why}`));
  }

  #end(): void {
    this.#heldUntil = 0;
    clearInterval(this.#renewals);
    clearTimeout(this.#expiry);
  }
}
