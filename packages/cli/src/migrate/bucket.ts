import { SessionStoreError } from "nats-session-store";
import type { EntryInfo, SessionAdmin } from "nats-session-store/admin";
import { CommandError } from "../exit.js";
import type { Found, Source } from "./source.js";

/** How many sessions are read at the same time. */
const AT_ONCE = 64;

/** The sessions of another bucket, which keep their handles, their age, their end and their user. */
export function openBucket(admin: SessionAdmin, title: string, close: () => Promise<void>): Source {
  const read = async ({ handle, state }: EntryInfo): Promise<Found> => {
    if (state === "unreadable" || handle === undefined) return "unreadable";
    if (state === "expired") return "expired";
    const details = await admin.find(handle);
    const { createdAt, expiresAt, userHash } = details?.info ?? {};
    if (details?.problem) return "unreadable";
    // Ended since the entry was read.
    if (!details?.data || expiresAt === undefined) return "expired";
    return { handle, session: { data: details.data, createdAt, expiresAt, userHash } };
  };
  return {
    title,
    async *batches() {
      await admin.position().catch((error) => {
        const isMissing = error instanceof SessionStoreError && error.code === "ERR_SESSION_BUCKET_MISSING";
        throw isMissing ? new CommandError(`Cannot copy from ${title}: there is no such bucket`) : error;
      });
      for await (const entries of admin.entries("sessions")) {
        const sessions = entries.filter(({ state }) => state !== "ended");
        for (let n = 0; n < sessions.length; n += AT_ONCE) {
          yield await Promise.all(sessions.slice(n, n + AT_ONCE).map(read));
        }
      }
    },
    close,
  };
}
