export {
  handleOf,
  type NatsConnectionLike,
  type NatsConnectionSource,
  type SessionErrorCode,
  SessionStore,
  SessionStoreError,
  type SessionStoreOptions,
  type UserSession,
} from "nats-session-store";
export type { GoneEvent, MigrateFrom, MigrationPhase, SessionSource } from "nats-session-store/adapter";
export type { KoaStore } from "./migrate-from.js";
export { type CallOptions, NatsStore, type NatsStoreEvents } from "./nats-store.js";
export type { NatsStoreOptions } from "./options.js";
export type { KoaSessionData } from "./stored.js";
