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
export { NatsStore, type NatsStoreEvents } from "./nats-store.js";
export type { HoldResponse, NatsStoreOptions } from "./options.js";
export { rotate } from "./rotate.js";
