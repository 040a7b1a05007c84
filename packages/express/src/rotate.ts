import type session from "express-session";
import { NatsStore } from "./nats-store.js";

/**
 * Gives a request's session a new id and ends it under the old one; the data, the cookie's settings and the
 * session's age stay. Call it after a sign-in or a change of rights, so that an id that leaked before becomes useless
 * (OWASP Session Management: renew the session id after any privilege level change). Changes that other requests made
 * meanwhile are kept. The response carries the new cookie.
 *
 * Two requests may rotate the same session at once, after a double click: each gets a session with a new id. A
 * session that was ended elsewhere is not brought back: the store emits `gone`, and the request keeps its old id.
 *
 * @throws TypeError where the session is not kept in a `NatsStore`, or the request has none; else the errors of the
 * store's operations. The request keeps its old id then.
 *
 * @example
 * req.session.user = await checkPassword(req.body);
 * await rotate(req);
 * res.redirect("/");
 */
export async function rotate(req: Parameters<session.Store["createSession"]>[0]): Promise<void> {
  if (!(req.sessionStore instanceof NatsStore)) {
    throw new TypeError("Expected a request whose session is kept in a NatsStore");
  }
  await req.sessionStore.rotate(req);
}
