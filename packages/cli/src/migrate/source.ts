import type { AdoptedSession } from "nats-session-store/admin";

/** What a source gives of one of its entries: a session, or why it has none. */
export type Found =
  | { readonly handle: string; readonly session: AdoptedSession }
  /** `expired`: it has ended by now. `unreadable`: what is there is no session. */
  | "expired"
  | "unreadable";

/** Where sessions come from. */
export interface Source {
  /** For messages; without anything secret. */
  readonly title: string;
  /** In batches that fit into memory. */
  batches(): AsyncIterable<readonly Found[]>;
  close(): Promise<void>;
}

/** How many entries are read at a time: some MB of sessions as large as they come. */
export const BATCH = 200;
