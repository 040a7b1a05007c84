import { type SessionRecord, type SessionStore, SessionStoreError } from "nats-session-store";
import { Journal } from "./journal.js";
import { livedTime } from "./standstill.js";

export type Operation = "load" | "save" | "touch" | "destroy";

/** An operation that failed. */
export interface Failure {
  readonly operation: Operation;
  readonly code: string;
  readonly message: string;
  /** When it began, in ms of `performance.now()`, and how long it took, without time in which the process stood still. */
  readonly at: number;
  readonly ms: number;
}

/** Where workers say what happened to them. */
export interface Log {
  succeeded(operation: Operation, ms: number): void;
  failed(failure: Failure): void;
  /** Something that must never happen. */
  violated(what: string): void;
}

const LIFE = 3_600_000;

type Held = SessionRecord & { data: Record<string, number> };

/**
 * Somebody who works on a session as requests do, one operation after the other, and knows what was
 * acknowledged. `key` is the only part of the data that the worker writes; others may write other parts.
 */
export class Worker {
  readonly journal = new Journal();
  #held: Held | null = null;
  #count = 0;

  constructor(
    readonly id: string,
    readonly key: string,
    private readonly store: SessionStore,
    private readonly log: Log,
    private readonly random: () => number,
    /** Whether the session is this worker's alone, who may then begin and end it. */
    private readonly alone: boolean,
  ) {}

  /** One operation; never rejects. @returns whether it succeeded */
  async step(): Promise<boolean> {
    const dice = this.random();
    if (dice < 0.35) return this.#load();
    if (this.#held && dice < 0.5) return this.#touch(this.#held);
    if (this.alone && dice < 0.6) return this.#destroy();
    if (this.#held || this.alone) return this.#save(this.#held);
    return this.#load();
  }

  #load(): Promise<boolean> {
    return this.#run("load", null, async () => {
      const record = (await this.store.load(this.id)) as Held | null;
      this.#check("load", record);
      this.#held = record;
    });
  }

  #save(record: Held | null): Promise<boolean> {
    const value = ++this.#count;
    const data = { ...record?.data, [this.key]: value };
    return this.#run("save", value, async () => {
      const result = await this.store.save(this.id, data, { record: record ?? undefined, ttl: LIFE });
      if (result.outcome === "gone") return this.#gone("save");
      this.#held = result.record as Held;
      this.journal.acknowledged(value, result.record?.expiresAt);
    });
  }

  #touch(record: Held): Promise<boolean> {
    // Each life a little longer, so that a touch that was lost shows.
    const ttl = LIFE + 1000 * ++this.#count;
    return this.#run("touch", record.data[this.key] ?? null, async () => {
      const result = await this.store.touch(this.id, record, { ttl });
      if (result.outcome === "gone") return this.#gone("touch");
      if (result.outcome === "touched" && result.record) {
        this.#held = result.record as Held;
        if (this.alone) this.journal.renewed(result.record.expiresAt);
      }
    });
  }

  #destroy(): Promise<boolean> {
    return this.#run("destroy", null, async () => {
      const wasThere = await this.store.destroy(this.id);
      this.#held = null;
      if (wasThere) this.journal.acknowledged(null);
      else this.#absent("destroy");
    });
  }

  /** The session is gone: that must have been this worker's own doing, in a destroy that had no answer. */
  #gone(operation: Operation): void {
    this.#absent(operation);
    this.#held = null;
  }

  #absent(operation: Operation): void {
    this.#check(operation, null);
    this.journal.absent();
  }

  #check(operation: Operation, record: SessionRecord | null): void {
    const found = (record?.data[this.key] as number | undefined) ?? null;
    const expiresAt = this.alone ? record?.expiresAt : undefined;
    const contradiction = this.journal.contradiction(found, expiresAt);
    if (contradiction) this.log.violated(`${operation} of ${this.id} (${this.key}): ${contradiction}`);
  }

  /** `value`: what the session may hold when there was no answer. */
  async #run(operation: Operation, value: number | null, run: () => Promise<void>): Promise<boolean> {
    const at = performance.now();
    const lived = livedTime();
    try {
      await run();
      this.log.succeeded(operation, livedTime() - lived);
      return true;
    } catch (error) {
      const ms = livedTime() - lived;
      if (!(error instanceof SessionStoreError)) {
        this.log.violated(`${operation} of ${this.id}: ${(error as Error).stack}`);
        return false;
      }
      this.log.failed({ operation, code: error.code, message: error.message, at, ms });
      if (operation !== "load") this.journal.unanswered(value);
      return false;
    }
  }

  /** Compares what is stored in the end with what was acknowledged. */
  async verify(store: SessionStore): Promise<void> {
    this.#check("load", await store.load(this.id));
  }
}
