import type { SessionData } from "express-session";
import { HeldSession } from "nats-session-store/adapter";
import { isSameCookie, type StoredCookie, ttlOfCookie } from "./cookie.js";

/** A session that a request holds, with its cookie. */
export class HeldExpressSession extends HeldSession<SessionData> {
  /** The cookie as the request loaded or saved it last. */
  cookie: StoredCookie | undefined;
  /** The cookie as it is stored: after a merge it may be another request's. */
  storedCookie: StoredCookie | undefined;

  /** The time to live (ms) that the stored cookie asks for. */
  get ttl(): number | undefined {
    return this.storedCookie && ttlOfCookie(this.storedCookie, Date.now());
  }

  isCookieChanged(session: SessionData): boolean {
    return this.cookie !== undefined && !isSameCookie(this.cookie, session);
  }

  /** Notes the cookie that a save was asked to store. */
  saved(cookie: StoredCookie): void {
    this.cookie = cookie;
    this.storedCookie = this.record?.data.cookie as StoredCookie | undefined;
  }
}
