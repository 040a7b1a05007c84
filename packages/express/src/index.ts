export {
  handleOf,
  type SessionErrorCode,
  SessionStoreError,
  type SessionStoreOptions,
  type SessionStoreSource,
} from "nats-session-store";
export { NatsStore } from "./nats-store.js";
