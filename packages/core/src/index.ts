export { type SessionErrorCode, SessionStoreError } from "./errors.js";
export { handleOf } from "./key.js";
export type { KeyConflict, Resolve } from "./merge.js";
export { openSessionStore } from "./open.js";
export { type SessionStoreSource, sessionStoreFrom } from "./opening.js";
export { Turns } from "./turns.js";
export type {
  CountOptions,
  NatsConnectionLike,
  SaveOptions,
  SaveOutcome,
  SaveResult,
  SessionData,
  SessionRecord,
  SessionSerializer,
  SessionStore,
  SessionStoreOptions,
  TouchOptions,
  TouchOutcome,
  TouchResult,
} from "./types.js";
