export {
  handleOf,
  openSessionStore,
  type SessionErrorCode,
  SessionStoreError,
  type SessionStoreOptions,
  type SessionStoreSource,
} from "nats-session-store";
export type { KoaSessionData } from "./life.js";
export { type CallOptions, type GoneEvent, NatsStore } from "./nats-store.js";
