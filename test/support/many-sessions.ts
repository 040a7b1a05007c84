import { encodeIndexEntry, encodeSession } from "../../packages/core/src/format/metadata.js";
import { putEntry } from "./put-entry.js";
import type { Connection } from "./variants.js";

const DAY = 86_400_000;

/** Requests at a time. */
const LANES = 64;

/**
 * Stores many sessions of one user past the store: its own sign-ins change the user's index entry one after the
 * other, which would take minutes.
 * @returns their handles, oldest sign-in first
 */
export async function putSessionsOf(
  nc: Connection,
  bucket: string,
  userHash: string,
  handles: readonly string[],
  data: object,
): Promise<void> {
  const [createdAt, value] = [Date.now(), JSON.stringify(data)];
  const expiresAt = createdAt + DAY;
  let next = 0;
  const lane = async () => {
    for (let n = next++; n < handles.length; n = next++) {
      const membership = { userHash, place: n + 1, indexedUntil: expiresAt };
      const headers = encodeSession({ createdAt: createdAt + n, expiresAt, write: "create", membership });
      await putEntry(nc, bucket, `s.${handles[n]}`, value, Object.fromEntries(headers));
    }
  };
  await Promise.all(Array.from({ length: LANES }, lane));
  const members = handles.map((handle, n) => ({ handle, place: n + 1, addedAt: createdAt }));
  const index = encodeIndexEntry({ expiresAt, members });
  await putEntry(nc, bucket, `u.${userHash}`, index.value, Object.fromEntries(index.headers));
}
