import {
  type NatsConnectionSource,
  type SessionData,
  SessionStore,
  type SessionStoreOptions,
} from "nats-session-store";

/**
 * In ms: longer than a busy machine lets a process or a server stand still. For whatever is not tested for its
 * own timeout; a store asks again, or looks what became of a write, after a quarter of it.
 */
export const PATIENCE = 30_000;

/** Opens a store with a `timeout` that no busy machine exceeds, unless the options give another. */
export function openPatient<T extends object = SessionData>(
  nc: NatsConnectionSource,
  options?: SessionStoreOptions,
): Promise<SessionStore<T>> {
  return SessionStore.open<T>(nc, { timeout: PATIENCE, ...options });
}
