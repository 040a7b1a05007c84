import type { SessionData, Store } from "express-session";
import { SessionStoreError } from "nats-session-store";
import type { KitMigration, MigrateFrom, OldSession, OldStoreForm } from "nats-session-store/adapter";
import { comparableCookie, cookieOf, hasCookie, prepareCookie, storedCookieOf, ttlOf } from "./cookie.js";

/** How stores of express-session are called, and how its sessions look to them. */
const form: OldStoreForm<Store> = {
  get: (store, id) =>
    called((done) =>
      store.get(id, (error, data) => {
        // express-session takes this error for a session that is not there.
        if ((error as NodeJS.ErrnoException | null)?.code === "ENOENT") done(null, null);
        else done(error, data);
      }),
    ),
  set: (store, id, value) => called((done) => store.set(id, value as SessionData, done)),
  destroy: (store, id) => called((done) => store.destroy(id, done)),

  fromOld(value): OldSession {
    // As JSON has them: stores may give instances.
    const data = JSON.parse(JSON.stringify(value)) as SessionData;
    if (!hasCookie(data)) {
      throw new SessionStoreError(
        "ERR_SESSION_CORRUPT",
        "The session of the old store has no cookie: express-session did not write it.",
      );
    }
    data.cookie = prepareCookie(data, 0) as typeof data.cookie;
    const cookie = storedCookieOf(data);
    // A touch renews a session in Redis and PostgreSQL without changing the cookie that is stored.
    return { data: { ...data, cookie }, ttl: ttlOf({ ...data, cookie } as unknown as SessionData) };
  },

  toOld: (data, expiresAt) => ({ ...data, cookie: cookieOf(data as SessionData, expiresAt) }),
};

/** What moves the sessions of another store in. */
export function migrationFrom(option: MigrateFrom<object>): KitMigration<Store> {
  return {
    option,
    form,
    comparable: (key, value) => (key === "cookie" ? comparableCookie(value) : value),
  };
}

/** Calls a store with a callback, which may be called more than once, or never where the store returns a promise. */
function called<R>(call: (done: (error?: unknown, result?: R) => void) => unknown): Promise<R | undefined> {
  return new Promise((resolve, reject) => {
    const returned = call((error, result) => (error ? reject(error) : resolve(result)));
    if (returned instanceof Promise) returned.catch(reject);
  });
}
