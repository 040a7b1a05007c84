import type { SessionChange, SessionStore } from "nats-session-store";
import type { EntryInfo, SessionAdmin } from "nats-session-store/admin";
import type { AuditEvent, AuditRecord, AuditTrail } from "./trail.js";

/** So many sessions' users are remembered, to see which write is a sign-in; of others the trail is asked. */
const MOST_KNOWN = 50_000;

/** So many entries are looked up in the trail at a time. */
const AT_A_TIME = 32;

/** How many changes wait while the trail is being written. */
const BUFFER = 100_000;

/**
 * Writes sign-ins and ends of sessions into an audit trail, until the store is closed. What happened while no recorder
 * ran is read from the bucket: tombstones outlive their sessions by ten minutes at least.
 */
export class Recorder {
  readonly #trail: AuditTrail;
  readonly #store: SessionStore;
  readonly #admin: SessionAdmin;
  /** The user of each session whose sign-in is in the trail, by handle. */
  readonly #users = new Map<string, string>();
  /** Up to where the trail is complete, in the order of the buckets. */
  #through: number[] = [];

  /** @param recorded called with each record */
  constructor(
    trail: AuditTrail,
    store: SessionStore,
    admin: SessionAdmin,
    private readonly recorded: (record: AuditRecord) => void,
  ) {
    this.#trail = trail;
    this.#store = store;
    this.#admin = admin;
  }

  /** @param ready called once it follows the changes */
  async run(ready: () => void): Promise<void> {
    const changes = this.#store.changes({ buffer: BUFFER });
    await changes.ready;
    await this.#catchUp();
    ready();
    for await (const event of changes) {
      if (event.type === "missed") await this.#catchUp();
      else if ("handle" in event) await this.#note(event);
    }
  }

  async #catchUp(): Promise<void> {
    const lasts = await Promise.all(
      this.#admin.buckets.map(async (_name, shard) => (await this.#admin.position(shard)).last),
    );
    const recorded = (await this.#trail.last())?.through ?? [];
    // A bucket that ends before what was recorded is another one than that.
    const from = lasts.map((last, shard) => {
      const through = recorded[shard] ?? 0;
      return through <= last ? through : 0;
    });
    this.#through = from;
    for await (const batch of this.#admin.entries("sessions")) {
      const open = batch.filter(
        ({ handle, revision }) => handle !== undefined && revision > (from[this.#admin.shardOf(handle)] ?? 0),
      );
      for (let next = 0; next < open.length; next += AT_A_TIME) {
        await Promise.all(open.slice(next, next + AT_A_TIME).map((info) => this.#noteEntry(info)));
      }
    }
    this.#through = lasts;
  }

  async #noteEntry(info: EntryInfo): Promise<void> {
    const { handle, state, createdAt, lastWriteAt, endedBy, movedTo, revision } = info;
    if (handle === undefined || state === "unreadable") return;
    const before = await this.#trail.last(handle);
    const userHash = info.userHash ?? before?.userHash;
    if (userHash === undefined) return;
    const isOpen = before?.event === "signed-in" && before.userHash === userHash;
    const base = { handle, userHash, revision };
    const isEndKnown = before !== undefined && before.event !== "signed-in" && endedBy !== undefined;
    if (!isOpen && !isEndKnown && createdAt !== undefined) {
      await this.#append({ ...base, event: "signed-in", at: createdAt, movedTo: undefined });
    }
    if (endedBy === undefined || isEndKnown) return;
    await this.#append({ ...base, event: endOf(endedBy, movedTo), at: lastWriteAt, movedTo });
  }

  async #note({ type, handle, userHash, movedTo, revision, at }: SessionChange): Promise<void> {
    const shard = this.#admin.shardOf(handle);
    this.#through[shard] = Math.max(this.#through[shard] ?? 0, revision);
    const isEnd = type === "destroyed" || type === "expired";
    if (!isEnd && (userHash === undefined || this.#users.get(handle) === userHash)) return;
    const before = await this.#trail.last(handle);
    const isOpen = before?.event === "signed-in";
    if (isEnd) {
      const owner = userHash ?? before?.userHash;
      const isKnown = before !== undefined && !isOpen && before.revision >= revision;
      if (owner === undefined || isKnown) return;
      const base = { handle, userHash: owner, revision };
      // After an interruption the feed tells of such a session only that it has ended.
      const createdAt = before ? undefined : (await this.#admin.find(handle))?.info.createdAt;
      if (createdAt !== undefined) {
        await this.#append({ ...base, event: "signed-in", at: createdAt, movedTo: undefined });
      }
      await this.#append({ ...base, at, movedTo, event: endOf(type, movedTo) });
    } else if (userHash !== undefined && !(isOpen && before.userHash === userHash)) {
      // The change may be older than an end that was read from the bucket.
      if (before && before.revision >= revision) return;
      await this.#append({ handle, userHash, revision, at, movedTo: undefined, event: "signed-in" });
    } else if (userHash !== undefined) this.#remember(handle, userHash);
  }

  async #append(record: Omit<AuditRecord, "through">): Promise<void> {
    const complete = { ...record, through: [...this.#through] };
    await this.#trail.append(complete);
    if (record.event === "signed-in") this.#remember(record.handle, record.userHash);
    else this.#users.delete(record.handle);
    this.recorded(complete);
  }

  #remember(handle: string, userHash: string): void {
    if (this.#users.size >= MOST_KNOWN) this.#users.clear();
    this.#users.set(handle, userHash);
  }
}

function endOf(type: "destroyed" | "expired", movedTo: string | undefined): AuditEvent {
  if (type === "expired") return "expired";
  return movedTo === undefined ? "signed-out" : "renewed";
}
