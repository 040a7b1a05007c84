export { type ChangeEvents, emitChanges } from "./change-events.js";
export { type SessionErrorCode, SessionStoreError } from "./errors.js";
export { handleOf } from "./key.js";
export type { KeyConflict, Resolve } from "./merge.js";
export { openSessionStore } from "./open.js";
export { type SessionStoreSource, sessionStoreFrom } from "./opening.js";
export type {
  EncryptionKey,
  EncryptionOptions,
  SessionSerializer,
  SessionStoreOptions,
} from "./store-options.js";
export { Turns } from "./turns.js";
export type {
  CacheStats,
  ChangesOptions,
  ChangeType,
  CountOptions,
  MissedChanges,
  NatsConnectionLike,
  RotateOptions,
  SaveOptions,
  SaveOutcome,
  SaveResult,
  SessionChange,
  SessionChanges,
  SessionData,
  SessionRecord,
  SessionStore,
  TouchOptions,
  TouchOutcome,
  TouchResult,
  UserSession,
} from "./types.js";
