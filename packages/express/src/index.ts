export {
  handleOf,
  openSessionStore,
  type SessionErrorCode,
  SessionStoreError,
  type SessionStoreOptions,
  type SessionStoreSource,
} from "nats-session-store";
export { type GoneEvent, NatsStore } from "./nats-store.js";
