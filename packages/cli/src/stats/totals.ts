import { DigestSet, type EntryInfo, type SessionAdmin } from "nats-session-store/admin";

const MINUTE = 60_000;

/** What happened to sessions in a minute. */
export interface Activity {
  readonly signIns: number;
  readonly ends: number;
  readonly expiries: number;
  readonly merges: number;
}

/** What a bucket holds. */
export interface Totals {
  /** When it was counted (Unix ms). */
  readonly at: number;
  readonly live: number;
  /** Users with at least one live session. */
  readonly users: number;
  readonly tombstones: number;
  /** Sessions that have expired and were not removed yet. */
  readonly expired: number;
  readonly unreadable: number;
  /** Size of the live sessions' values. */
  readonly sessionBytes: number;
  /** What the bucket takes on each of its servers. */
  readonly bucketBytes: number;
  /** Live sessions by the id of their key; plain ones under an empty id. */
  readonly keys: ReadonlyMap<string, number>;
  /** In the minute before, as far as entries tell: of a session that was merged and written again they do not. */
  readonly lastMinute: Activity;
}

/** Counts everything in the bucket. */
export async function countTotals(
  admin: SessionAdmin,
  progress: (read: number, total: number) => void,
): Promise<Totals> {
  const [streams, { serverTime }, entries] = await Promise.all([
    Promise.all(admin.buckets.map((_name, shard) => admin.stream(shard))),
    admin.position(),
    admin.countEntries(),
  ]);
  const bytes = streams.reduce((sum, stream) => sum + stream.bytes, 0);
  const at = serverTime || Date.now();
  const counter = new Counter(at - MINUTE);
  let read = 0;
  for await (const batch of admin.entries()) {
    for (const info of batch) counter.add(info);
    read += batch.length;
    progress(read, Math.max(read, entries));
  }
  return { at, bucketBytes: bytes, ...counter.result() };
}

class Counter {
  readonly #users = new DigestSet();
  readonly #keys = new Map<string, number>();
  readonly #activity = { signIns: 0, ends: 0, expiries: 0, merges: 0 };
  readonly #counts = { live: 0, tombstones: 0, expired: 0, unreadable: 0, sessionBytes: 0 };

  /** @param since when the activity that is counted begins (Unix ms) */
  constructor(private readonly since: number) {}

  add(info: EntryInfo): void {
    if (info.state === "ended") this.#counts.tombstones++;
    if (info.kind !== "session") return;
    this.#countActivity(info);
    if (info.state === "expired") this.#counts.expired++;
    if (info.state === "unreadable") this.#counts.unreadable++;
    if (info.state !== "live") return;
    this.#counts.live++;
    this.#counts.sessionBytes += info.bytes;
    if (info.userHash !== undefined) this.#users.add(info.userHash);
    const key = info.keyId ?? "";
    this.#keys.set(key, (this.#keys.get(key) ?? 0) + 1);
  }

  result() {
    return { ...this.#counts, users: this.#users.size, keys: this.#keys, lastMinute: this.#activity };
  }

  /** The tombstone of a rotation is not an end, and the session goes on with the time of its creation. */
  #countActivity({ createdAt, lastWriteAt, lastWrite, endedBy, movedTo }: EntryInfo): void {
    const isRecent = lastWriteAt >= this.since;
    if (movedTo === undefined && createdAt !== undefined && createdAt >= this.since) this.#activity.signIns++;
    if (isRecent && endedBy === "destroyed" && movedTo === undefined) this.#activity.ends++;
    if (isRecent && endedBy === "expired") this.#activity.expiries++;
    if (isRecent && lastWrite === "merge") this.#activity.merges++;
  }
}
