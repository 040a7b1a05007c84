import { type Context, deadlineOf } from "./context.js";
import { destroySession } from "./destroy.js";
import type { Metadata } from "./record.js";
import { saveSession } from "./save.js";
import { StoredRecord } from "./stored-record.js";
import type { RotateOptions, SaveResult } from "./types.js";
import { leave, ownershipOf } from "./user-index.js";
import { removeSession, writeSession } from "./write.js";

/**
 * Gives a session another id: stored under its old one, so that nothing of others is lost; then under the new one;
 * then ended under the old one, if nobody has written there meanwhile, else all over again. It keeps its age, its
 * owner and its place among the owner's sessions.
 */
export async function rotateSession<T extends object>(
  context: Context,
  handle: string,
  newHandle: string,
  data: T,
  { record: given, ttl, source = data }: RotateOptions<T>,
): Promise<SaveResult<T>> {
  if (handle === newHandle) throw new TypeError("Expected the new session id to be another than the old one");
  let record = StoredRecord.of(given, handle);
  let touchUnchanged = true;
  for (;;) {
    const saved = await saveSession(context, handle, data, { record, ttl, source, touchUnchanged });
    if (!saved.record) {
      await destroySession(context, newHandle);
      return saved;
    }
    record = StoredRecord.of(saved.record, handle);
    const moved = await storeUnder(context, newHandle, record);
    if (await endIfUnchanged(context, record)) return { outcome: saved.outcome, record: moved };
    touchUnchanged = false;
  }
}

async function storeUnder<T extends object>(
  context: Context,
  handle: string,
  record: StoredRecord<T>,
): Promise<StoredRecord<T>> {
  const deadline = deadlineOf(context);
  const { createdAt, expiresAt } = record;
  const before = StoredRecord.ownershipOf(record);
  const entered =
    before && (await ownershipOf(context, { handle, owner: before.owner, expiresAt }, deadline));
  const ownership = entered && { ...entered, since: before.since };
  const metadata: Metadata = { createdAt, expiresAt, write: "create", ownership };
  const write = { handle, value: StoredRecord.valueOf(record), metadata, expected: undefined };
  for (;;) {
    const answer = await writeSession(context, write, deadline);
    // What may have been written may be written again: nobody else knows the new id yet.
    if (typeof answer === "number") return record.renewed(answer, metadata, handle);
  }
}

/** @returns whether the session is ended; not when somebody has written it, or ended it, since the record */
async function endIfUnchanged(context: Context, record: StoredRecord<object>): Promise<boolean> {
  const deadline = deadlineOf(context);
  const { handle, createdAt, expiresAt, revision } = record;
  const ownership = StoredRecord.ownershipOf(record);
  const metadata: Metadata = { createdAt, expiresAt, write: "destroy", ownership };
  for (;;) {
    const answer = await removeSession(context, { handle, metadata, expected: revision }, deadline);
    if (typeof answer === "number") break;
    if (answer === "conflict") return false;
    const entry = await context.bucket.entries.readFromLeader(context.keyStart + handle, deadline);
    if (entry && entry.revision !== revision) return false;
  }
  leave(context, handle, ownership);
  return true;
}
