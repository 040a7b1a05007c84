import { randomBytes } from "node:crypto";
import type { Assembly } from "../assembly.js";
import { expiryOf } from "../format/expiry.js";
import { type Comparable, digestsOf, MARK, type OldMark } from "../format/migration-mark.js";
import { ttlForData } from "../operations/ttl.js";
import type { SaveOptions } from "../types.js";
import { warn } from "../util/warn.js";
import type { OldStore } from "./old-store.js";
import type { MigrationPhase } from "./options.js";

/** What the old store is given of the sessions here, with a mark that names the digest of each key. */
export class OldCopies<T extends object> {
  readonly #parts: Assembly;
  readonly #old: OldStore;
  readonly #phase: MigrationPhase;
  readonly #comparable: Comparable;
  #hasWarned = false;

  constructor(parts: Assembly, old: OldStore, phase: MigrationPhase, comparable: Comparable) {
    this.#parts = parts;
    this.#old = old;
    this.#phase = phase;
    this.#comparable = comparable;
  }

  /**
   * Lets the old store have a session that is about to begin here: one that is here and not there was ended by an old
   * process.
   */
  async begin(
    id: string,
    data: T,
    ttl: SaveOptions<T>["ttl"],
    createdAt: number,
    deadline: number,
  ): Promise<void> {
    if (this.#phase === "new-only") return;
    const { context } = this.#parts;
    const time = Date.now();
    const expiresAt = expiryOf(time, ttlForData(context, ttl, data), createdAt, context.options);
    if (expiresAt <= time) return;
    await this.store(id, data, expiresAt, deadline).catch((error) => this.failed(error));
  }

  async store(id: string, data: T, expiresAt: number, deadline: number): Promise<void> {
    const keys = digestsOf(data, this.#comparable);
    const mark: OldMark = { version: randomBytes(6).toString("base64url"), keys };
    await this.#old.store(id, { ...data, [MARK]: mark }, expiresAt, deadline);
  }

  /** Ends there what has ended here. Where that fails, the tombstone here still counts. */
  async end(id: string, deadline: number): Promise<void> {
    await this.#old.end(id, deadline).catch((error) => this.warn(error));
  }

  /** Of a write there: without old processes no request depends on it. */
  failed(error: unknown): void {
    if (this.#phase === "old-first") throw error;
    this.warn(error);
  }

  warn(cause: unknown): void {
    if (this.#hasWarned) return;
    this.#hasWarned = true;
    const why = cause instanceof Error ? cause.message : String(cause);
    const message = `The store of \`migrateFrom\` could not be brought up to date: ${why}`;
    warn(this.#parts.context.options.bucket, "NATS_SESSION_OLD_STORE", message);
  }
}
