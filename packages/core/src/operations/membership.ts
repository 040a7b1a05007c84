import { bucketOf } from "../entries/place.js";
import type { StoreContext } from "../entries/store-context.js";
import type { Added, MemberName } from "../entries/user-index.js";
import type { Membership } from "../format/metadata.js";
import { admit, endOldest, type Owner, type SignIn } from "./limit.js";

/**
 * The user of a session that is written, by name. A store without the option `user` leaves the membership as it is:
 * another process may know better.
 */
export function ownerOf(
  context: StoreContext,
  user: string | undefined,
  before: Membership | undefined,
): Owner | undefined {
  if (!context.options.user) return before && { hash: before.userHash, hashes: [before.userHash] };
  if (user === undefined) return undefined;
  return { hash: context.users.current(user), hashes: context.users.all(user) };
}

/**
 * Makes a session belong to a user: prepared before the session is written, then committed or rolled back. A crash
 * in between leaves a member of the index without a session, which no list shows.
 */
export class MembershipChange {
  readonly #context: StoreContext;
  readonly #handle: string;
  readonly #deadline: number;
  readonly #isLimited: boolean;
  /** What this change has written to the index. */
  #added: Added | undefined;
  /** The line that it has added there; none where an entry was only made to last longer. */
  #line: MemberName | undefined;
  /** Whether the session becomes this user's, rather than staying theirs. */
  #isSignIn = false;
  #owner: Owner | undefined;
  #isSent = false;

  /** @param isLimited whether the limit of sessions is asked, where the session becomes a user's */
  constructor(context: StoreContext, handle: string, deadline: number, isLimited = true) {
    this.#context = context;
    this.#handle = handle;
    this.#deadline = deadline;
    this.#isLimited = isLimited;
  }

  /**
   * The membership to store with the session. Its index entry is written here, unless it lasts long enough already:
   * then the answer comes at once.
   * @param before as it is stored now
   * @param isNewId whether the handle is a new one for the session, after a rotation
   * @throws `ERR_SESSION_LIMIT` with `onLimit: "refuse"`
   */
  prepare(
    owner: Owner | undefined,
    before: Membership | undefined,
    expiresAt: number,
    isNewId = false,
  ): Membership | undefined | Promise<Membership> {
    const place = before && owner?.hashes.includes(before.userHash) ? before.place : undefined;
    const added = this.#added?.membership;
    // Another request may have signed the session in meanwhile: it has that place then.
    if (added && (added.userHash !== owner?.hash || (place !== undefined && added.place !== place))) {
      this.rollback();
    }
    this.#owner = owner;
    if (!owner) return undefined;
    const stored =
      this.#added?.membership ?? (before?.userHash === owner.hash && !isNewId ? before : undefined);
    if (stored && stored.indexedUntil >= expiresAt) return stored;
    return this.#add(owner, place, expiresAt, isNewId || place === undefined);
  }

  async #add(
    owner: Owner,
    known: number | undefined,
    expiresAt: number,
    isNewLine: boolean,
  ): Promise<Membership> {
    const place = this.#added?.membership.place ?? known;
    const joining = { userHash: owner.hash, handle: this.#handle, place, expiresAt };
    const added = await this.#context.index.add(joining, this.#deadline);
    const { membership } = added;
    this.#added = added;
    if (isNewLine) this.#line = { ...joining, place: membership.place };
    if (place !== undefined || !this.#isLimited) return membership;
    this.#isSignIn = true;
    try {
      await admit(this.#context, owner, this.#signIn(added), this.#deadline);
    } catch (error) {
      // Until it is removed, sign-ins in other processes count it.
      if (this.#line) await this.#context.index.removeNow(this.#line, this.#deadline).catch(() => {});
      this.#line = undefined;
      throw error;
    }
    return membership;
  }

  #signIn({ membership: { place }, members, revision }: Added): SignIn {
    return { handle: this.#handle, place, members, revision };
  }

  /** To be called before the session's write is sent: from then on it may be stored, whatever the answer. */
  sending(): void {
    this.#isSent = true;
  }

  /** Whether the session may have been stored. */
  get isSent(): boolean {
    return this.#isSent;
  }

  /**
   * To be called when the session is stored: ends the user's oldest sessions where there are too many, and removes
   * what the session has left.
   * @param before the membership that the session had, under `handle`
   * @param revision of the session as it is stored now
   */
  async commit(before: Membership | undefined, revision: number, handle = this.#handle): Promise<void> {
    const [added, owner] = [this.#added, this.#owner];
    this.#added = undefined;
    // Under another hash of the same user's name the member stays until the session ends: a process that hashes with
    // another secret first may be moving the session back.
    const hasMoved = before && (handle !== this.#handle || !owner?.hashes.includes(before.userHash));
    if (hasMoved) this.#context.index.remove([{ ...before, handle }]);
    if (!this.#isSignIn || !added || !owner) return;
    this.#isSignIn = false;
    const { buckets } = this.#context;
    // Revisions of two buckets say nothing of their order.
    const isOneBucket = bucketOf(buckets, this.#handle) === bucketOf(buckets, added.membership.userHash);
    const isLast = isOneBucket && revision === added.revision + 1;
    await endOldest(this.#context, owner, this.#signIn(added), isLast, this.#deadline);
  }

  /** To be called when the session was not stored. */
  rollback(): void {
    const line = this.#line;
    this.#added = undefined;
    this.#line = undefined;
    this.#isSignIn = false;
    if (line) this.#context.index.remove([line]);
  }

  /** To be called after an error. A session that may have been stored must be found in the index. */
  fail(): void {
    if (!this.#isSent) this.rollback();
  }
}
