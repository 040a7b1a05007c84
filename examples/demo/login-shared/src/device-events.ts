import { PassThrough, type Readable } from "node:stream";
import type { FeedEvent, FeedInterruption, MissedChanges, SessionChange } from "nats-session-store";
import { listDevices, type Sessions } from "./devices.js";
import { Refusal } from "./problem.js";

export interface DeviceEventsOptions {
  userId: string;
  /** Of the session that the page is shown in. */
  sessionId: string;
  /** Ends the stream when the application stops. */
  ending: AbortSignal;
}

/** Headers of an answer that is a stream of events, which nothing on its way may hold back. */
export const eventStreamHeaders: Readonly<Record<string, string>> = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-store, no-transform",
  "X-Accel-Buffering": "no",
};

/** A sign of life in between, in ms, so that both ends notice when the other has gone. */
const beatEvery = 15_000;

/** A page that leaves this many bytes unread is cut off. It comes back and looks anew. */
const mostUnread = 64 * 1024;

/**
 * Server-sent events for a devices page: what happens to this person's sessions, in whatever process. Ends with
 * `ended` when it happens to the page's own session. All streams of a process share the store's one change feed.
 *
 * @throws Refusal with status 401 where the session is no longer live; what the change feed rejects with
 */
export async function deviceEvents(sessions: Sessions, options: DeviceEventsOptions): Promise<Readable> {
  const { userId, sessionId, ending } = options;
  const ownHandle = sessions.handleOf(sessionId);
  const userHash = sessions.hashUser(userId);
  const changes = sessions.changes();
  const known = new Set<string>();
  try {
    // Only when the feed is live: a session that ends after this look is told by it.
    await changes.ready;
    if ((await sessions.load(sessionId)) === null) throw new Refusal(401);
    const { devices } = await listDevices(sessions, userId, ownHandle);
    for (const { handle } of [...devices, { handle: ownHandle }]) known.add(handle);
  } catch (error) {
    await changes.return();
    throw error;
  }

  const stream = new PassThrough();
  const beat = setInterval(() => stream.write("event: beat\ndata:\n\n"), beatEvery);
  const stop = (): void => void changes.return();
  ending.addEventListener("abort", stop);
  if (ending.aborted) stop();
  stream.on("close", () => {
    clearInterval(beat);
    ending.removeEventListener("abort", stop);
    stop();
  });
  stream.write("retry: 1000\n\n");
  // The page comes back when the stream ends, and is then told what is wrong.
  void tell()
    .catch(() => {})
    .finally(() => stream.end());
  return stream;

  async function tell(): Promise<void> {
    for await (const change of changes) {
      const message = messageOf(change);
      if (message === undefined) continue;
      stream.write(`data: ${JSON.stringify(message)}\n\n`);
      if (stream.writableLength > mostUnread) stream.destroy();
      if (message.type === "ended") return;
    }
  }

  /** What the page is told; nothing of other people's sessions. */
  function messageOf(change: FeedEvent): DeviceMessage | undefined {
    // Missed changes, and a connection that is down or up again: the page says that its list is not live.
    if (!("handle" in change)) return change;
    const { type, handle, at } = change;
    const isOver = type === "destroyed" || type === "expired";
    const isTheirs = change.userHash === userHash;
    // The server does not always know whose session it was that has expired.
    const wasTheirs = known.has(handle);
    if (isTheirs && !isOver) known.add(handle);
    else known.delete(handle);
    if (handle === ownHandle && isOver) return { type: "ended", by: type };
    return isTheirs || wasTheirs ? { type, handle, at } : undefined;
  }
}

type DeviceMessage =
  | MissedChanges
  | FeedInterruption
  | { readonly type: "ended"; readonly by: "destroyed" | "expired" }
  | Pick<SessionChange, "type" | "handle" | "at">;
