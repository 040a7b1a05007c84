import { setTimeout as sleep } from "node:timers/promises";
import { DeliverPolicy, type JsMsg, jetstream, type PushConsumer } from "@nats-io/jetstream";
import type { NatsConnection } from "@nats-io/transport-node";

/** A key as the local copy knows it. Without a value: it was deleted, or its TTL has passed. */
export interface Entry {
  readonly value: Uint8Array | undefined;
  readonly revision: number;
}

export interface MirrorOptions {
  bucket: string;
  /** Is called for each key that is new, changed or gone. It must not throw. */
  onEntry(key: string, entry: Entry): void;
  /** Is called when the bucket cannot be followed. Further tries are made. */
  onError(error: Error): void;
}

/** Pause before another try to read the bucket, in ms. */
const PAUSE = 200;
/** Failures in a row before they are told: right after a restart the first few mean nothing. */
const TELL_AFTER = 10;
/** In place of the number of a reading. */
const CLOSED = -1;

/**
 * A local copy of a whole bucket, kept fresh by a watch.
 *
 * It does what `kv.watch()` does, with the same kind of consumer, and two things more. After each reconnect it
 * reads everything anew: the client's own watch takes 60 to 90 s to notice that the server was replaced, and
 * does not tell what has vanished meanwhile. And `close()` deletes the consumer, which `kv.watch()` leaves on
 * the server for 5 minutes. (In a cluster, the loss of a server that we are not connected to is noticed by the
 * consumer's heartbeats only: after 60 to 90 s, and then nothing is missed either.)
 */
export class Mirror {
  readonly #nc: NatsConnection;
  readonly #options: MirrorOptions;
  readonly #entries = new Map<string, Entry>();
  /** Keys that the reading in progress has not come across yet. */
  #unseen = new Set<string>();
  /** Number of the reading in progress. What belongs to an earlier one has no say any more. */
  #reading = 0;
  #stopMessages = noop;
  #deleteConsumer = async (): Promise<void> => {};
  #stopStatus = noop;
  #ready = noop;

  private constructor(nc: NatsConnection, options: MirrorOptions) {
    this.#nc = nc;
    this.#options = options;
  }

  /** Resolves once everything in the bucket has been read. */
  static async open(nc: NatsConnection, options: MirrorOptions): Promise<Mirror> {
    const mirror = new Mirror(nc, options);
    mirror.#watchConnection();
    try {
      await new Promise<void>((resolve, reject) => {
        mirror.#ready = resolve;
        mirror.#read(0).catch((error) => mirror.#reading === 0 && reject(error));
      });
      return mirror;
    } catch (error) {
      await mirror.close();
      throw error;
    }
  }

  get(key: string): Entry | undefined {
    return this.#entries.get(key);
  }

  /** Takes over what this process itself has just written, before the watch tells of it. */
  apply(key: string, entry: Entry): void {
    const known = this.#entries.get(key);
    const isUnseen = this.#unseen.delete(key);
    // A bucket that was deleted and created again begins with revision 1: a new reading overrules all.
    if (known && !isUnseen && entry.revision <= known.revision) return;
    this.#entries.set(key, entry);
    if (!same(known?.value, entry.value)) this.#options.onEntry(key, entry);
  }

  /** The same for a key that this process has deleted, unless the watch has told of it or of more already. */
  applyDelete(key: string, deleted: Entry | undefined): void {
    if (deleted?.value === undefined || this.#entries.get(key) !== deleted) return;
    const entry = { value: undefined, revision: deleted.revision };
    this.#entries.set(key, entry);
    this.#options.onEntry(key, entry);
  }

  /** Ends the watch and deletes its consumer; takes up to 5 s without a server. The local copy stays as it is. */
  async close(): Promise<void> {
    this.#reading = CLOSED;
    this.#stopStatus();
    this.#stopMessages();
    await this.#deleteConsumer();
  }

  #watchConnection(): void {
    const statuses = this.#nc.status() as ReturnType<NatsConnection["status"]> & { stop(): void };
    this.#stopStatus = () => statuses.stop();
    void (async () => {
      for await (const { type } of statuses) if (type === "reconnect") void this.#readAgain();
    })();
  }

  async #readAgain(): Promise<void> {
    if (this.#reading === CLOSED) return;
    const reading = ++this.#reading;
    // At once, or the client mends the old consumer by making one more. It is deleted when the server is surely
    // ready for it; should the server go down before that, it goes by itself after 5 minutes.
    this.#stopMessages();
    const deletePrevious = this.#deleteConsumer;
    for (let failures = 1; reading === this.#reading && !this.#nc.isClosed(); failures++) {
      try {
        await this.#read(reading);
        break;
      } catch (error) {
        if (failures === TELL_AFTER) this.#options.onError(error as Error);
        await sleep(PAUSE, undefined, { ref: false });
      }
    }
    await deletePrevious();
  }

  /** Reads all entries, then goes on with the changes. */
  async #read(reading: number): Promise<void> {
    const { bucket } = this.#options;
    this.#unseen = new Set(this.#entries.keys());
    const consumer = await jetstream(this.#nc).consumers.getPushConsumer(`KV_${bucket}`, {
      deliver_policy: DeliverPolicy.LastPerSubject,
      filter_subjects: `$KV.${bucket}.>`,
    });
    if (reading !== this.#reading) return deleteQuietly(consumer);

    const messages = await consumer.consume({
      callback: (message) => {
        if (reading !== this.#reading) return;
        this.apply(message.subject.slice(`$KV.${bucket}.`.length), toEntry(message));
        if (message.info.pending === 0) this.#complete();
      },
    });
    if (reading !== this.#reading) {
      messages.stop();
      return deleteQuietly(consumer);
    }
    this.#stopMessages = () => messages.stop();
    this.#deleteConsumer = () => deleteQuietly(consumer);
    void messages.closed().then(() => {
      if (reading === this.#reading) void this.#readAgain();
    });
    if ((await consumer.info(true)).num_pending === 0 && reading === this.#reading) this.#complete();
  }

  /** All that is there has been told: what was not is gone. */
  #complete(): void {
    for (const key of this.#unseen) {
      const known = this.#entries.get(key);
      this.#entries.delete(key);
      if (known?.value) this.#options.onEntry(key, { value: undefined, revision: known.revision });
    }
    this.#unseen.clear();
    this.#ready();
  }
}

/** It may be gone already, or the connection. */
async function deleteQuietly(consumer: PushConsumer): Promise<void> {
  await consumer.delete().catch(noop);
}

function toEntry({ headers, data, seq }: JsMsg): Entry {
  const isGone = headers?.has("KV-Operation") || headers?.has("Nats-Marker-Reason");
  return { value: isGone ? undefined : data.slice(), revision: seq };
}

function same(a: Uint8Array | undefined, b: Uint8Array | undefined): boolean {
  return a === undefined || b === undefined ? a === b : Buffer.compare(a, b) === 0;
}

function noop(): void {}
