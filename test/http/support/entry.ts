import { jetstreamManager } from "@nats-io/jetstream";
import { handleOf } from "nats-session-store";
import type { Connection } from "../../support/variants.js";

/** An entry of a bucket as any NATS client sees it. */
export interface StoredEntry {
  readonly revision: number;
  readonly text: string;
  /** What the write was: `create`, `update`, `touch` or `destroy`. */
  readonly write: string | undefined;
  header(name: string): string | undefined;
}

/** What is stored for a session id, read without the session store. */
export async function entryOf(nc: Connection, bucket: string, id: string): Promise<StoredEntry | null> {
  const { streams } = await jetstreamManager(nc as never);
  const message = await streams.getMessage(`KV_${bucket}`, {
    last_by_subj: `$KV.${bucket}.s.${handleOf(id)}`,
  });
  if (!message) return null;
  const header = (name: string) => message.header.get(name) || undefined;
  return { revision: message.seq, text: message.string(), write: header("Session-Write"), header };
}
