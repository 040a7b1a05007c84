import { SessionStoreError } from "./errors.js";
import { namesBy } from "./keyed-names.js";
import { reopenable } from "./opening.js";
import { type ResolvedOptions, resolveOptions } from "./options.js";
import { NatsSessionStore } from "./store.js";
import type { SessionStoreOptions } from "./store-options.js";
import type { NatsConnectionLike, SessionData, SessionStore } from "./types.js";
import { connectBucket, unavailable } from "./wire/index.js";

/**
 * Opens the session store in a KV bucket, which is created where it is missing.
 *
 * @param nc the caller's connection, or a promise of it; the store never closes or drains it
 * @throws TypeError for a wrong option, naming it and what was expected
 * @throws `ERR_SESSION_BUCKET_MISSING`, `ERR_SESSION_BUCKET_MISMATCH`, `ERR_SESSION_JETSTREAM_OFF`,
 * `ERR_SESSION_PERMISSION`, `ERR_SESSION_UNAVAILABLE`, `ERR_SESSION_SERVER`
 */
export function openSessionStore<T extends object = SessionData>(
  nc: NatsConnectionLike | PromiseLike<NatsConnectionLike>,
  options?: SessionStoreOptions,
): Promise<SessionStore<T>> {
  let resolved: ResolvedOptions;
  try {
    resolved = resolveOptions(options);
  } catch (error) {
    return Promise.reject(error);
  }
  const open = async () => {
    const connection = await connected(nc, resolved.timeout);
    if (typeof connection?.publish !== "function" || typeof connection.status !== "function") {
      throw new TypeError("Expected a NATS connection, as `connect()` of @nats-io/transport-node gives it");
    }
    const store = new NatsSessionStore<T>(await connectBucket(connection, resolved), resolved);
    try {
      await within(resolved.timeout, store.ready, "the change feed did not begin in time");
    } catch (error) {
      await store.close();
      throw error;
    }
    return store;
  };
  return reopenable(open, namesBy(resolved));
}

/** A promise of a connection may take as long as it likes, and fail with whatever it likes; an opening may not. */
async function connected(
  nc: NatsConnectionLike | PromiseLike<NatsConnectionLike>,
  timeout: number,
): Promise<NatsConnectionLike> {
  if (typeof nc !== "object" || nc === null || !("then" in nc)) return nc;
  try {
    return await within(timeout, nc, `no connection to NATS within ${timeout} ms`);
  } catch (error) {
    throw error instanceof SessionStoreError ? error : unavailable("connecting to NATS failed", error);
  }
}

async function within<R>(timeout: number, task: PromiseLike<R>, why: string): Promise<R> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(unavailable(why)), timeout);
  });
  try {
    return await Promise.race([task, late]);
  } finally {
    clearTimeout(timer);
  }
}
