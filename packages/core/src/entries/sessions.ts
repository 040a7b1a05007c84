import type { Context, StoredSession } from "../context.js";
import { type SessionStoreError, unavailable } from "../errors.js";
import type { SessionMetadata } from "../format/metadata.js";
import type { Entry } from "../nats/replies.js";
import type { WriteAnswer } from "../nats/writer.js";
import { BoundedMap } from "../util/bounded-map.js";
import type { OperationContext } from "../util/channels.js";
import { nextTurn, now } from "../util/timers.js";
import type { UnderWay } from "./emitted-revisions.js";
import type { NearCache } from "./near-cache.js";
import { type Place, sessionPlace } from "./place.js";
import {
  type Found,
  foundIn,
  foundInCache,
  type SessionWrite,
  sessionEntry,
  sessionIn,
  type TombstoneWrite,
  tombstoneEntry,
  writtenAt,
} from "./session-entry.js";

/** How long other loads may join a read that is under way, in ms: their answer is no older than that. */
const JOIN_WITHIN = 10;

/** How many sessions are recalled without a cache: enough for those of the requests that are under way. */
const RECENT = 1000;

/** A session as this process read or wrote it last. Only a checked write shows whether it still is like that. */
export interface Recalled {
  readonly revision: number;
  readonly metadata: SessionMetadata;
}

interface Reading {
  readonly session: Promise<StoredSession | null>;
  /** Of the load that began it, in ms of `now()`. */
  readonly deadline: number;
  /** In ms of `now()`. */
  readonly since: number;
}

/**
 * Reads and writes the entries of sessions. Loads are answered by the near cache where there is one, else by the
 * bucket, many loads of one session by one request.
 *
 * Different sessions are read by a request each: one `multi_last` request for all was measured to be slower, since
 * the server searches the blocks of the stream for it (test/bench, `gather`).
 */
export class Sessions {
  readonly #context: Context;
  readonly #cache: NearCache | undefined;
  readonly #reading = new Map<string, Reading>();
  /** Sessions of which the leader is asked in the background. */
  readonly #confirming = new Set<string>();
  readonly #recent = new BoundedMap<string, Recalled>(RECENT);
  #turn: Promise<void> | undefined;

  constructor(context: Context, cache: NearCache | undefined) {
    this.#context = context;
    this.#cache = cache;
  }

  /** The live session of a handle. @throws `ERR_SESSION_CORRUPT`, `ERR_SESSION_KEY_UNKNOWN` */
  read(handle: string, deadline: number, trace?: OperationContext): Promise<StoredSession | null> {
    const cache = this.#cache;
    if (!cache) return this.#readShared(handle, deadline);
    return this.#endOfTurn().then(() => {
      const cached = cache.get(handle);
      if (trace) trace.cached = cached !== undefined;
      return cached ?? this.#readShared(handle, deadline);
    });
  }

  /**
   * What is stored, from the near cache where it has the session. Otherwise perhaps as a copy has it, but never older
   * than what this process knows.
   */
  async find(handle: string, deadline: number): Promise<Found> {
    const cached = this.#cache?.get(handle);
    if (cached) return foundInCache(cached);
    return this.#find(sessionPlace(this.#context, handle), deadline);
  }

  /** What any copy has, which may be old: for a write under the revision that was found. */
  async findAny(handle: string, deadline: number): Promise<Found> {
    const { entries, key } = sessionPlace(this.#context, handle);
    return foundIn(this.#context, await entries.readAny(key, deadline));
  }

  /** What is stored now, never from a copy that lags behind. */
  async findCurrent(handle: string, deadline: number): Promise<Found> {
    const { entries, key } = sessionPlace(this.#context, handle);
    const found = foundIn(this.#context, await entries.readCurrent(key, deadline));
    const { metadata, isLive, revision } = found;
    if (metadata && isLive) this.#recent.set(handle, { revision, metadata });
    return found;
  }

  /** The live session that was found. @throws `ERR_SESSION_CORRUPT`, `ERR_SESSION_KEY_UNKNOWN` */
  sessionIn(handle: string, found: Found): StoredSession | null {
    return sessionIn(this.#context, sessionPlace(this.#context, handle).key, found);
  }

  /** The live session that is stored now, and the revision that is there. */
  async readCurrent(
    handle: string,
    deadline: number,
  ): Promise<{ readonly revision: number; readonly session: StoredSession | null }> {
    const found = await this.findCurrent(handle, deadline);
    return { revision: found.revision, session: this.sessionIn(handle, found) };
  }

  /** Stores a session under the revision that it builds on. */
  write(write: SessionWrite, deadline: number): Promise<WriteAnswer> {
    if (now() >= deadline) return Promise.reject(tooLate());
    const { handle, value, metadata } = write;
    const place = sessionPlace(this.#context, handle);
    const entry = sessionEntry(this.#context, place.key, write);
    const underWay = this.#cache?.begin(handle);
    return place.entries.write(entry, deadline).then(
      (answer) => {
        const isStored = typeof answer === "number";
        const stored = isStored ? { revision: answer, value, metadata, writtenAt: Date.now() } : null;
        this.#wrote(handle, underWay, stored);
        return answer;
      },
      (error) => {
        this.#wrote(handle, underWay, null);
        throw error;
      },
    );
  }

  /** Replaces a session by a tombstone, under the revision that was read. */
  remove(write: TombstoneWrite, deadline: number): Promise<WriteAnswer> {
    if (now() >= deadline) return Promise.reject(tooLate());
    const { handle } = write;
    const { entries, key } = sessionPlace(this.#context, handle);
    const underWay = this.#cache?.begin(handle);
    return entries
      .remove(tombstoneEntry(key, write), deadline)
      .finally(() => this.#wrote(handle, underWay, null));
  }

  /** What this process knows of a session without asking; a write that builds on it shows whether it is up to date. */
  recall(handle: string): Recalled | undefined {
    return this.#cache?.peek(handle) ?? this.#recent.get(handle);
  }

  /** @param session what is stored now; `null` where it is not known, or there is none */
  #wrote(handle: string, underWay: UnderWay | undefined, session: StoredSession | null): void {
    // A load that begins later must not join a read from before.
    this.#reading.delete(handle);
    this.#note(handle, session);
    if (underWay) this.#cache?.end(handle, underWay, session, true);
  }

  #note(handle: string, session: StoredSession | null): void {
    if (this.#cache) return;
    if (!session) this.#recent.delete(handle);
    else this.#recent.set(handle, { revision: session.revision, metadata: session.metadata });
  }

  /**
   * The cache answers all loads of a turn together, as answers from the bucket come: an HTTP server then writes many
   * responses in a row, which costs it less than a write between two reads.
   */
  #endOfTurn(): Promise<void> {
    this.#turn ??= nextTurn().then(() => {
      this.#turn = undefined;
    });
    return this.#turn;
  }

  #readShared(handle: string, deadline: number): Promise<StoredSession | null> {
    const since = now();
    const reading = this.#reading.get(handle);
    if (reading && since - reading.since < JOIN_WITHIN && this.#isSameTime(reading.deadline, deadline)) {
      return reading.session;
    }
    const place = sessionPlace(this.#context, handle);
    const underWay = this.#cache?.begin(handle);
    const end = (session: StoredSession | null, isCurrent: boolean) => {
      if (this.#reading.get(handle) === started) this.#reading.delete(handle);
      this.#note(handle, session);
      if (underWay) this.#cache?.end(handle, underWay, session, isCurrent);
    };
    let isCurrent = this.#context.options.reads === "leader";
    const session = this.#find(place, deadline).then(
      (found) => {
        let session: StoredSession | null = null;
        try {
          const { entry } = found;
          if (entry && underWay) {
            isCurrent ||= place.entries.isFromLeader(entry);
            const isAsked = !isCurrent && this.#cache?.wantsLeader(handle, underWay, entry.revision);
            if (isAsked) this.#confirm(handle, place);
          }
          session = sessionIn(this.#context, place.key, found);
          return session;
        } finally {
          end(session && underWay ? { ...session, writtenAt: writtenAt(found) } : session, isCurrent);
        }
      },
      (error) => {
        end(null, false);
        throw error;
      },
    );
    const started: Reading = { session, since, deadline };
    this.#reading.set(handle, started);
    return session;
  }

  /** A load that has waited for a write has less time left than others, and is not to wait for theirs. */
  #isSameTime(one: number, other: number): boolean {
    return Math.abs(one - other) < this.#context.options.timeout / 20;
  }

  /**
   * Asks the leader in the background for a session that was written before the cache knew the feed, so that the cache
   * answers its next loads. The load itself does not wait: the leader may be in another region.
   */
  #confirm(handle: string, place: Place): void {
    const cache = this.#cache;
    if (!cache || this.#confirming.has(handle)) return;
    this.#confirming.add(handle);
    const underWay = cache.begin(handle);
    this.#context.background(async (deadline) => {
      try {
        const found = await this.#findAtLeader(place, deadline);
        cache.end(handle, underWay, sessionIn(this.#context, place.key, found), true);
      } finally {
        this.#confirming.delete(handle);
      }
    });
  }

  #find(place: Place, deadline: number): Promise<Found> {
    if (this.#context.options.reads === "leader") return this.#findAtLeader(place, deadline);
    let found: Found | undefined;
    /** What cannot be read is as it is, whoever gives it. */
    const isUsable = (entry: Entry): boolean => {
      found = foundIn(this.#context, entry);
      return found.isLive || found.problem !== undefined;
    };
    return place.entries
      .read(place.key, deadline, isUsable)
      .then((entry) => (found?.entry === entry ? found : foundIn(this.#context, entry)));
  }

  async #findAtLeader({ entries, key }: Place, deadline: number): Promise<Found> {
    return foundIn(this.#context, await entries.readLeader(key, deadline));
  }
}

/** A write that a caller was told nothing of must not be sent after its deadline, such as after a standstill. */
function tooLate(): SessionStoreError {
  return unavailable("the time for the operation was over before its write could be sent");
}
