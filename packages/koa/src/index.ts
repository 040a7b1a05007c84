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
export type { GoneEvent, SessionSource } from "nats-session-store/adapter";
export { type CallOptions, NatsStore, type NatsStoreEvents } from "./nats-store.js";
export type { KoaSessionData } from "./stored.js";
