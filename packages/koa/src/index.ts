export {
  handleOf,
  type MissedChanges,
  openSessionStore,
  type SessionChange,
  type SessionErrorCode,
  SessionStoreError,
  type SessionStoreOptions,
  type SessionStoreSource,
  type UserSession,
} from "nats-session-store";
export type { KoaSessionData } from "./life.js";
export { type CallOptions, type GoneEvent, NatsStore, type NatsStoreEvents } from "./nats-store.js";
