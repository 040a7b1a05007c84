import type { Context } from "../context.js";
import { SessionStoreError, unavailable } from "../errors.js";
import { ttlSeconds } from "../format/expiry.js";
import {
  decodeIndexEntry,
  encodeIndexEntry,
  encodeTombstone,
  type IndexEntry,
  type IndexMember,
  type Membership,
} from "../format/metadata.js";
import type { Entry } from "../nats/replies.js";
import { KeyedQueue } from "../util/keyed-queue.js";
import { now, sleep } from "../util/timers.js";
import { indexPlace } from "./place.js";

/** An index entry is made to last for so many times its session's life, so that it is seldom renewed. */
const LIVES = 2;

/**
 * How much longer an index entry lasts than it says, in ms: clocks of different machines may differ by that.
 */
const SLACK = 3_600_000;

/** How long removals from an index entry wait for each other, in ms: nothing depends on them. */
const REMOVAL_DELAY = 250;

/** Longest random pause between two tries to change an index entry, in ms. */
const RETRY_PAUSE = 8;

/**
 * How long a member may be in the index before its session is stored, in timeouts; at least a minute. A member
 * without a session that has been there for longer was left behind.
 */
const UNDER_WAY = 30;
const UNDER_WAY_LEAST = 60_000;

/** A line of a user's index entry. */
export interface Member extends IndexMember {
  readonly userHash: string;
  readonly place: number;
  /** Whether it was added so long before the entry was last written that its session is stored, or never will be. */
  readonly isSettled: boolean;
  /** When the entry was last written, by the server's clock (Unix ms): the time is not before that. */
  readonly asOf: number;
}

/** What names a member: each sign-in has a place of its own, also where two sign in the same session. */
export type MemberName = Pick<Member, "userHash" | "place" | "handle">;

/** A session that becomes a user's, or whose index entry is to last longer. */
export interface Joining {
  readonly userHash: string;
  readonly handle: string;
  /** The place that the session has already: among the user's sessions, perhaps under another id or key. */
  readonly place: number | undefined;
  readonly expiresAt: number;
}

/** A session that is in the index. */
export interface Added {
  /** To be stored with the session. */
  readonly membership: Membership;
  /** All members at that moment, oldest sign-in first, and the revision that lists them. */
  readonly members: readonly Member[];
  readonly revision: number;
}

/** A user's index entry as it was read or written. */
interface State extends Pick<IndexEntry, "others"> {
  readonly revision: number;
  readonly expiresAt: number;
  readonly members: readonly Member[];
}

/**
 * One entry for each user that lists the handles of their sessions in the order of sign-in. It is changed under its
 * revision, so all processes agree on the order. It only says where to look: a session belongs to the user that its
 * own metadata name. A handle is added before its session is stored and removed after the session has ended.
 */
export class UserIndex {
  readonly #context: Context;
  readonly #queue = new KeyedQueue<string>(tooLate);
  /** Members to be removed, by user. */
  readonly #removals = new Map<string, MemberName[]>();
  /** Users whose removals a task in the background applies, unless a change of the entry does so before. */
  readonly #removing = new Set<string>();

  constructor(context: Context) {
    this.#context = context;
  }

  /** The members of a user's index entry, as the bucket has them now, oldest sign-in first. */
  async members(userHash: string, deadline: number): Promise<readonly Member[]> {
    const { entries, key } = indexPlace(this.#context, userHash);
    return this.#stateOf(userHash, await entries.readCurrent(key, deadline)).members;
  }

  /** Adds a session to a user's index entry, or makes the entry last longer. */
  async add({ userHash, handle, place: known, expiresAt }: Joining, deadline: number): Promise<Added> {
    /** The revision that a new member was added to; a write without an answer may have stored it. */
    let addedTo: number | undefined;
    const isOurs = (member: Member) =>
      member.handle === handle &&
      (known === undefined ? addedTo !== undefined && member.place > addedTo : member.place === known);
    const state = await this.#change(userHash, deadline, (state) => {
      const until = this.#until(expiresAt, state);
      const members: IndexMember[] = [...state.members];
      if (!state.members.some(isOurs)) {
        addedTo = state.revision;
        members.push({ handle, place: known, addedAt: undefined });
      } else if (until === state.expiresAt) return undefined;
      return { members, expiresAt: until };
    });
    const place = state.members.findLast(isOurs)?.place as number;
    const membership = { userHash, place, indexedUntil: state.expiresAt };
    return { membership, members: state.members, revision: state.revision };
  }

  /** Removes members in the background: a member without a session is skipped wherever it is met. */
  remove(members: readonly MemberName[]): void {
    for (const member of members) {
      this.#enqueue(member);
      this.#removeSoon(member.userHash);
    }
  }

  /** Each sign-in applies the removals that wait. So they are applied here only when the first has waited for long. */
  #removeSoon(userHash: string): void {
    if (this.#removing.has(userHash)) return;
    this.#removing.add(userHash);
    const first = this.#removals.get(userHash)?.[0];
    this.#context.background(async (deadline) => {
      try {
        await this.#context.pause(REMOVAL_DELAY);
        if (this.#removals.get(userHash)?.[0] === first) await this.#applyRemovals(userHash, deadline);
      } finally {
        this.#removing.delete(userHash);
        if (this.#removals.has(userHash)) this.#removeSoon(userHash);
      }
    });
  }

  /** Removes a member that other sign-ins would count. */
  async removeNow(member: MemberName, deadline: number): Promise<void> {
    this.#enqueue(member);
    await this.#applyRemovals(member.userHash, deadline);
  }

  /** How long a member without a session may wait for it, in ms. */
  get patience(): number {
    return Math.max(UNDER_WAY_LEAST, UNDER_WAY * this.#context.options.timeout);
  }

  #enqueue(member: MemberName): void {
    const waiting = this.#removals.get(member.userHash);
    if (waiting) waiting.push(member);
    else this.#removals.set(member.userHash, [member]);
  }

  /** The next sign-in may have applied them already. What fails is found again by whoever meets the member. */
  async #applyRemovals(userHash: string, deadline: number): Promise<void> {
    try {
      while (this.#removals.has(userHash)) await this.#change(userHash, deadline, () => undefined);
    } catch (error) {
      this.#removals.delete(userHash);
      throw error;
    }
  }

  #until(expiresAt: number, { expiresAt: before }: State): number {
    if (before >= expiresAt) return before;
    const time = Date.now();
    const { ttls, maxAge } = this.#context.buckets.facts;
    // Without a TTL per message the entry lasts as long as the bucket keeps anything.
    const wanted = ttls ? time + LIVES * Math.max(0, expiresAt - time) : Number.POSITIVE_INFINITY;
    const most = time + maxAge - Math.min(SLACK, maxAge / 2);
    return Math.max(before, Math.floor(Math.min(wanted, most, Number.MAX_SAFE_INTEGER)));
  }

  /**
   * Changes an index entry under its revision, as often as other processes are faster. Removals that wait are
   * applied with it.
   * @param apply gives what is to be stored; `undefined` = nothing more than the removals
   */
  #change(
    userHash: string,
    deadline: number,
    apply: (state: State) => IndexEntry | undefined,
  ): Promise<State> {
    const { entries, key } = indexPlace(this.#context, userHash);
    return this.#queue.run(userHash, deadline, async () => {
      // For a change under its revision the old answer of a copy does no harm: it makes a conflict.
      const entry = await entries.readAny(key, deadline);
      let state = this.#stateOf(userHash, entry);
      for (let isCurrent = entry !== null && entries.isFromLeader(entry); ; isCurrent = true) {
        const removals = [...(this.#removals.get(userHash) ?? [])];
        const reduced = without(state, removals);
        const next = apply(reduced) ?? (reduced === state ? undefined : reduced);
        if (!next && isCurrent) return this.#done(state, userHash, removals);
        const answer =
          next && (await this.#write(userHash, state.revision, { ...next, others: state.others }, deadline));
        if (next && typeof answer === "number") {
          return this.#done(this.#written(userHash, next, answer), userHash, removals);
        }
        if (answer === "conflict") await sleep(Math.random() * RETRY_PAUSE);
        if (now() > deadline) throw tooLate();
        state = this.#stateOf(userHash, await entries.readCurrent(key, deadline));
      }
    });
  }

  #done(state: State, userHash: string, applied: readonly MemberName[]): State {
    const left = this.#removals.get(userHash)?.filter((removal) => !applied.includes(removal)) ?? [];
    if (left.length > 0) this.#removals.set(userHash, left);
    else this.#removals.delete(userHash);
    return state;
  }

  async #write(userHash: string, expected: number, next: IndexEntry, deadline: number) {
    const { entries, key } = indexPlace(this.#context, userHash);
    if (next.members.length === 0) {
      const headers = encodeTombstone({ createdAt: 0, expiresAt: 0 });
      return entries.remove({ key, headers, expected, ttlSeconds: 60 }, deadline);
    }
    const ttl = ttlSeconds(next.expiresAt + SLACK, Date.now());
    const { headers, value } = encodeIndexEntry(next);
    try {
      return await entries.write({ key, value, headers, expected, ttlSeconds: ttl }, deadline);
    } catch (error) {
      if ((error as SessionStoreError).code !== "ERR_SESSION_TOO_LARGE") throw error;
      throw new SessionStoreError(
        "ERR_SESSION_TOO_LARGE",
        `A user has ${next.members.length} sessions, more than fit into one index entry. Limit them with \`maxSessionsPerUser\`, or raise the server's max_payload.`,
      );
    }
  }

  #stateOf(userHash: string, entry: Entry | null): State {
    if (!entry) return { revision: 0, expiresAt: 0, members: [] };
    const { revision } = entry;
    if (entry.deleted) return { revision, expiresAt: 0, members: [] };
    const { expiresAt, members, others } = decodeIndexEntry(entry.header, entry.value, entry.ownHeaders);
    const writtenAt = entry.writtenAt();
    const settled = writtenAt - this.patience;
    // The revision and the server's time of the entry are those of its newest members.
    const named = members.map(({ handle, place = revision, addedAt = writtenAt }) => {
      return { userHash, handle, place, addedAt, isSettled: addedAt < settled, asOf: writtenAt };
    });
    return { revision, expiresAt, members: inOrder(named), others };
  }

  #written(userHash: string, { expiresAt, members }: IndexEntry, revision: number): State {
    const named = members.map(({ handle, place = revision, addedAt }) => {
      return { userHash, handle, place, addedAt, isSettled: false, asOf: 0 };
    });
    return { revision, expiresAt, members: inOrder(named) };
  }
}

/** Members in the order of sign-in. */
export function inOrder(members: Member[]): Member[] {
  return members.sort((one, other) => one.place - other.place);
}

function without(state: State, removals: readonly MemberName[]): State {
  if (removals.length === 0) return state;
  const removed = new Set(removals.map(nameOf));
  const members = state.members.filter((member) => !removed.has(nameOf(member)));
  return members.length === state.members.length ? state : { ...state, members };
}

function nameOf({ place, handle }: MemberName): string {
  return `${place} ${handle}`;
}

function tooLate(): SessionStoreError {
  return unavailable("the user's index entry could not be changed in time");
}
