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
export type { GoneEvent, NatsStoreEvents } from "./events.js";
export { NatsStore } from "./nats-store.js";
export { rotate } from "./rotate.js";
