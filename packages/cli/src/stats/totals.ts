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
  /** Whether every entry was read; else all but `entries` and `bucketBytes` are estimates. */
  readonly isExact: boolean;
  /** Entries of all kinds. */
  readonly entries: number;
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

/** So many entries are read whole; of more, as many are looked at. */
const SAMPLE = 4000;

/** So many of the entries written last to each bucket are looked at for what happened in the last minute. */
const NEWEST = 1000;

/** Counts everything in the buckets, or estimates it from some entries where there are many. */
export async function estimateTotals(
  admin: SessionAdmin,
  progress: (read: number, total: number) => void,
): Promise<Totals> {
  const entries = await admin.countEntries();
  if (entries <= SAMPLE) return countTotals(admin, progress);
  const [{ at, bytes }, infos, lastMinute] = await Promise.all([
    placeOf(admin),
    admin.sample(SAMPLE),
    recentActivity(admin),
  ]);
  const counter = new Counter(at - MINUTE);
  let indexes = 0;
  for (const info of infos) {
    counter.add(info);
    if (info.kind === "index" && info.state === "live") indexes++;
  }
  const scaled = (number: number) => Math.round((number * entries) / Math.max(1, infos.length));
  const { live, tombstones, expired, unreadable, sessionBytes, keys } = counter.result();
  return {
    at,
    isExact: false,
    entries,
    live: scaled(live),
    // Each user with sessions has one entry, also for a while after the last of them.
    users: scaled(indexes),
    tombstones: scaled(tombstones),
    expired: scaled(expired),
    unreadable: scaled(unreadable),
    sessionBytes: scaled(sessionBytes),
    bucketBytes: bytes,
    keys: new Map([...keys].map(([id, number]) => [id, scaled(number)])),
    lastMinute,
  };
}

/** Counts everything in the buckets. */
export async function countTotals(
  admin: SessionAdmin,
  progress: (read: number, total: number) => void,
): Promise<Totals> {
  const [{ at, bytes }, entries] = await Promise.all([placeOf(admin), admin.countEntries()]);
  const counter = new Counter(at - MINUTE);
  let read = 0;
  for await (const batch of admin.entries()) {
    for (const info of batch) counter.add(info);
    read += batch.length;
    progress(read, Math.max(read, entries));
  }
  return { at, isExact: true, entries: read, bucketBytes: bytes, ...counter.result() };
}

/** The server's clock, and the bytes that all buckets take. */
async function placeOf(admin: SessionAdmin): Promise<{ readonly at: number; readonly bytes: number }> {
  const shards = [...admin.buckets.keys()];
  const [streams, { serverTime }] = await Promise.all([
    Promise.all(shards.map((shard) => admin.stream(shard))),
    admin.position(),
  ]);
  return { at: serverTime || Date.now(), bytes: streams.reduce((sum, { bytes }) => sum + bytes, 0) };
}

/** What happened in the last minute, as the entries tell that were written last; more is extrapolated. */
async function recentActivity(admin: SessionAdmin): Promise<Activity> {
  const sum = { signIns: 0, ends: 0, expiries: 0, merges: 0 };
  for (const shard of admin.buckets.keys()) {
    const [{ serverTime, first, last }, infos] = await Promise.all([
      admin.position(shard),
      admin.newest(NEWEST, shard),
    ]);
    const at = serverTime || Date.now();
    const counter = new Counter(at - MINUTE);
    for (const info of infos) counter.add(info);
    const covered = last - first < NEWEST ? MINUTE : at - (infos.at(-1)?.lastWriteAt ?? 0);
    const factor = covered >= MINUTE ? 1 : MINUTE / Math.max(1, covered);
    const { lastMinute } = counter.result();
    for (const name of ["signIns", "ends", "expiries", "merges"] as const) {
      sum[name] += Math.round(lastMinute[name] * factor);
    }
  }
  return sum;
}

class Counter {
  readonly #users = new DigestSet();
  readonly #keys = new Map<string, number>();
  readonly #activity = { signIns: 0, ends: 0, expiries: 0, merges: 0 };
  readonly #counts = { live: 0, tombstones: 0, expired: 0, unreadable: 0, sessionBytes: 0 };

  /** @param since when the activity that is counted begins (Unix ms) */
  constructor(private readonly since: number) {}

  add(info: EntryInfo): void {
    if (info.state === "ended" && info.kind !== "other") this.#counts.tombstones++;
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
