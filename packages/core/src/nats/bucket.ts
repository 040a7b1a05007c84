import { SessionStoreError, unavailable } from "../errors.js";
import type { NatsConnectionLike } from "../types.js";
import { SingleFlight } from "../util/single-flight.js";
import { idleSleep, now, sleep } from "../util/timers.js";
import { within } from "../util/within.js";
import { BucketWarnings } from "./bucket-warnings.js";
import { type ChangesListener, subscribeToChanges } from "./changes.js";
import { Entries } from "./entries.js";
import { KnownRevisions } from "./known-revisions.js";
import type { Link } from "./link.js";
import type { Mux } from "./mux.js";
import { OutageReason } from "./outage-reason.js";
import { openStream, type StreamFacts } from "./stream.js";
import type { BucketOptions } from "./stream-config.js";
import { type Subjects, subjectsOf } from "./subjects.js";

/** A bucket that is missing is created at most this often, in ms. */
const CREATION_INTERVAL = 1000;

/** Pause before a connection that was closed for good is replaced for the change feed, in ms. */
const RECONNECT_PAUSE = 250;

/** Rejects where the bucket must not be created. */
export type MayCreate = (nc: NatsConnectionLike, deadline: number) => Promise<void>;

/** The bucket as it is open now. */
interface Opened {
  readonly nc: NatsConnectionLike;
  readonly mux: Mux;
  readonly facts: StreamFacts;
  readonly entries: Entries;
}

interface Watch {
  readonly listener: ChangesListener;
  /** What the subscription is on; another connection or subject needs another one. */
  nc?: NatsConnectionLike | undefined;
  subject?: string | undefined;
  unsubscribe: () => void;
}

/** Where a bucket begins and ends, as its leader has it. */
export interface Position {
  readonly first: number;
  readonly last: number;
  /** Differs where the bucket was deleted and created again, and perhaps at another server. */
  readonly identity: string;
  /** Differs after an election of the bucket's leader; empty where there is no cluster. */
  readonly term: string;
  /** How many entries the bucket holds. */
  readonly entries: number;
  /** The server's clock (Unix ms); 0 where it does not say. */
  readonly serverTime: number;
}

/**
 * One bucket, from the connection to its entries. It opens itself: every operation calls `open` first, which does
 * nothing while the bucket is open. A failed opening, a connection closed for good and a missing bucket make the
 * next operation open it again.
 */
export class Bucket {
  readonly name: string;
  readonly #options: BucketOptions;
  readonly #link: Link;
  readonly #warnings: BucketWarnings;
  readonly #mayCreate: MayCreate;
  readonly #onMissing: (bucket: Bucket) => void;
  readonly #subjects: Subjects;
  readonly #known = new KnownRevisions();
  readonly #opening = new SingleFlight(() => this.#open());
  readonly #watches = new Set<Watch>();
  #opened: Opened | undefined;
  /** What a server has said last at the opening that is under way. */
  #refusal: Error | undefined;
  #isMissing = false;
  #createdAt = Number.NEGATIVE_INFINITY;
  #closed = false;

  /**
   * @param mayCreate asked when the bucket is missing at its opening
   * @param onMissing called when the open bucket is found to be missing
   */
  constructor(
    link: Link,
    options: BucketOptions,
    warnings = new BucketWarnings(),
    mayCreate: MayCreate = async () => {},
    onMissing: (bucket: Bucket) => void = () => {},
  ) {
    this.name = options.bucket;
    this.#options = options;
    this.#link = link;
    this.#warnings = warnings;
    this.#mayCreate = mayCreate;
    this.#onMissing = onMissing;
    this.#subjects = subjectsOf(options);
  }

  get isOpen(): boolean {
    return (
      this.#opened !== undefined &&
      !this.#isMissing &&
      !(this.#opened.nc.isClosed() && this.#link.canReconnect)
    );
  }

  /** Whether it was open and is said not to be there any more. */
  get isMissing(): boolean {
    return this.#isMissing;
  }

  /** Whether no server will ever answer, because the connection is closed and the store cannot make another. */
  get isOver(): boolean {
    return this.#link.isOver;
  }

  /**
   * Opens the bucket where it is not open.
   * @param deadline ms of `now()`: how long this caller waits for the opening, which it shares with others
   * @param isMissing looks for the bucket again, because one is said to be missing
   */
  async open(deadline: number, isMissing = false): Promise<void> {
    if (isMissing) this.#isMissing = true;
    if (this.isOpen) return;
    const late = () =>
      this.#refusal ?? unavailable(`the bucket${this.#subjects.where} was not opened in time`);
    await within(deadline, this.#opening.run(), late);
  }

  get entries(): Entries {
    return this.#use().entries;
  }

  get facts(): StreamFacts {
    return this.#use().facts;
  }

  /** The key of an entry from its subject. */
  keyOf(subject: string): string {
    return subject.slice(this.#subjects.entry.length);
  }

  /** Where the bucket begins and ends now. */
  async position(deadline: number): Promise<Position> {
    const { first, last, identity, term, messages, serverTime } = await this.entries.state(deadline);
    return { first, last, identity, term, entries: messages, serverTime };
  }

  /**
   * Listens to all writes to the bucket, also over later connections.
   * @throws `ERR_SESSION_NO_FEED`, `ERR_SESSION_UNAVAILABLE` where the bucket is not open
   */
  watch(listener: ChangesListener): () => void {
    const watch: Watch = { listener, unsubscribe: () => {} };
    this.#subscribe(watch, this.#use());
    this.#watches.add(watch);
    return () => {
      this.#watches.delete(watch);
      watch.unsubscribe();
    };
  }

  /** Ends the subscriptions; the link is left alone. */
  close(): void {
    this.#closed = true;
    for (const watch of this.#watches) watch.unsubscribe();
    this.#watches.clear();
  }

  #use(): Opened {
    if (!this.#opened) throw unavailable(`the bucket${this.#subjects.where} is not open`);
    return this.#opened;
  }

  async #open(): Promise<void> {
    const deadline = now() + this.#options.timeout;
    this.#refusal = undefined;
    const nc = await this.#link.connect(deadline);
    const wasOpen = this.#opened !== undefined;
    const on = {
      refused: (why: Error) => {
        this.#refusal = why;
      },
      missing: () => this.#beforeCreation(nc, deadline),
      created: () => {
        this.#createdAt = now();
        this.#known.clear();
        if (wasOpen) this.#warnings.lost(this.#subjects);
      },
      isOld: (differences: string) => this.#warnings.isOld(this.#subjects, differences),
    };
    const facts = await openStream(nc, this.#options, this.#subjects, deadline, on);
    if (this.#closed) return;
    this.#warnings.server(this.name, nc.info?.version, facts);
    this.#isMissing = false;
    this.#opened = this.#withFacts(nc, this.#link.muxOn(nc), facts);
    for (const watch of this.#watches) this.#renew(watch);
  }

  /** Rejects where the bucket must not be created. */
  async #beforeCreation(nc: NatsConnectionLike, deadline: number): Promise<void> {
    await sleep(Math.max(0, this.#createdAt + CREATION_INTERVAL - now()));
    await this.#mayCreate(nc, deadline);
    if (this.#closed) throw new SessionStoreError("ERR_SESSION_CLOSED", "The session store was closed.");
  }

  #withFacts(nc: NatsConnectionLike, mux: Mux, facts: StreamFacts): Opened {
    const missing = () => {
      this.#isMissing = true;
      this.#known.clear();
      this.#onMissing(this);
    };
    const reasons = new OutageReason(mux, this.#subjects, this.#options, missing);
    const entries = new Entries(mux, this.#subjects, facts, reasons, this.#known, this.#options);
    return { nc, mux, facts, entries };
  }

  #subscribe(watch: Watch, { nc, facts }: Opened): void {
    const subject = facts.changes;
    if (subject === undefined) {
      throw new SessionStoreError(
        "ERR_SESSION_NO_FEED",
        `The bucket ${this.#subjects.title} does not republish its writes. Open the store with \`updateBucket: true\`, or use another bucket.`,
      );
    }
    Object.assign(watch, { nc, subject });
    const closed = () => void this.#onClosed(watch, nc);
    watch.unsubscribe = subscribeToChanges(nc, this.#subjects, subject, watch.listener, closed);
  }

  /** Moves a watch to the connection that the bucket is open on now. */
  #renew(watch: Watch): void {
    const opened = this.#use();
    if (watch.nc === opened.nc && watch.subject === opened.facts.changes) return;
    watch.unsubscribe();
    try {
      this.#subscribe(watch, opened);
      watch.listener.reconnected();
    } catch (error) {
      this.#watches.delete(watch);
      watch.listener.failed(error as SessionStoreError);
    }
  }

  async #onClosed(watch: Watch, nc: NatsConnectionLike): Promise<void> {
    if (!this.#link.canReconnect) {
      this.#watches.delete(watch);
      watch.unsubscribe();
      watch.listener.failed(
        new SessionStoreError(
          "ERR_SESSION_UNAVAILABLE",
          "The NATS connection is closed: no more changes are told.",
        ),
      );
      return;
    }
    watch.listener.disconnected();
    while (this.#watches.has(watch) && watch.nc === nc) {
      await this.open(now() + this.#options.timeout).catch(() => {});
      if (watch.nc === nc) await idleSleep(RECONNECT_PAUSE);
    }
  }
}
