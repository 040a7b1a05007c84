import type session from "express-session";
import { NatsStore } from "./nats-store.js";

/**
 * Gives a request's session another id and ends it under the old one; the data, the cookie's settings and the
 * session's age stay. For after a sign-in or a change of rights, so that an id that somebody else may know is
 * worth nothing (OWASP Session Management: renew the session id after any privilege level change). What others
 * have written to the session meanwhile is kept. The response carries the new cookie.
 *
 * A session that was ended elsewhere is not brought back: the store emits `gone`, and the request keeps its old id.
 *
 * @throws TypeError where the session is not kept in a `NatsStore`; else what the store's operations reject with,
 * and the request then keeps its old id
 */
export async function rotate(req: Parameters<session.Store["createSession"]>[0]): Promise<void> {
  if (!(req.sessionStore instanceof NatsStore)) {
    throw new TypeError("Expected a request whose session is kept in a NatsStore");
  }
  await req.sessionStore.rotate(req);
}
