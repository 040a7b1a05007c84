import { ServerResponse } from "node:http";
import type { SessionData } from "express-session";
import { clearTimeout, setTimeout } from "nats-session-store/adapter";
import type { Callback } from "./callback.js";

interface SessionOfRequest {
  readonly req?: { readonly httpVersionMajor?: number; readonly res?: unknown } | undefined;
}

/**
 * Holds the response that waits for a write of the session back until the write is answered. express-session sends
 * all of a response but its last byte before that: the browser could follow a redirect before the session is stored,
 * and each response takes two writes to the socket.
 *
 * Only a response that express-session is about to end: its length is known and none of it was sent. A stream flows
 * on. Only over HTTP/1, where a socket carries one response at a time; a pipelined response that waits for its turn
 * has no socket yet.
 *
 * @param most ms after which the response is sent although the write has not been answered; 0 = it is not held
 * @returns the callback to call instead
 */
export function holdResponse(session: SessionData, callback: Callback, most: number | undefined): Callback {
  const res = most === 0 ? undefined : responseOf(session);
  const socket = res?.socket;
  if (!res || !socket || isSent(res) || !res.hasHeader("content-length")) return callback;
  socket.cork();
  let isHeld = true;
  const release = () => {
    if (!isHeld) return;
    isHeld = false;
    clearTimeout(timer);
    // The end of a response uncorks its socket by itself. By now the socket may carry the next response.
    if (!res.writableEnded) socket.uncork();
  };
  const timer = most === undefined ? undefined : setTimeout(release, most).unref();
  return (error, result) => {
    try {
      callback(error, result);
    } finally {
      release();
    }
  };
}

/** `headersSent` is true as soon as the headers are composed, as compression does before express-session ends. */
function isSent(res: ServerResponse & { readonly _headerSent?: boolean }): boolean {
  return res._headerSent ?? res.headersSent;
}

/** Express makes the response known as `req.res`. The session may be any object of the application. */
function responseOf(session: SessionData): ServerResponse | undefined {
  try {
    const { req } = session as SessionOfRequest;
    return req?.httpVersionMajor === 1 && req.res instanceof ServerResponse ? req.res : undefined;
  } catch {
    return undefined;
  }
}
