import type { SessionWrite } from "../entries/session-entry.js";
import type { SessionStoreOptions } from "../options.js";
import type { SaveOptions } from "../types.js";
import type { OperationContext } from "../util/channels.js";
import type { Content } from "./conflict.js";
import type { Ground } from "./ground.js";
import type { LoadedSession } from "./loaded-session.js";
import type { MembershipChange } from "./membership.js";

/** What a save is to do; this does not change. */
export interface Plan<T extends object> {
  readonly handle: string;
  readonly ours: Content<T>;
  /** The object that the data were taken from. */
  readonly source: object;
  readonly record: LoadedSession<T> | undefined;
  /** What the holder of the data was given; see `baseOf`. */
  readonly base: Uint8Array | undefined;
  readonly ttl: SaveOptions<T>["ttl"];
  readonly onConflict: SessionStoreOptions["onConflict"];
  readonly keepExpiry: boolean;
  readonly isLimited: boolean;
  readonly deadline: number;
  readonly trace: OperationContext | undefined;
}

/** How far a save has come. */
export interface Progress<T extends object> {
  ground: Ground;
  /** What is to be stored on that ground: ours, or merged with theirs. */
  content: Content<T>;
  /** The last write of this save, where it was not answered. */
  unanswered: Pick<SessionWrite, "value" | "metadata"> | undefined;
  /** The change of the session's user, where one may be needed. */
  membership: MembershipChange | undefined;
}
