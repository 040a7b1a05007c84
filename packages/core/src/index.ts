export { type ChangeEvents, emitChanges } from "./change-events.js";
export { type SessionErrorCode, SessionStoreError } from "./errors.js";
export { handleOf } from "./key.js";
export type { KeyConflict, Resolve } from "./merge.js";
export { openSessionStore } from "./open.js";
export { type SessionStoreSource, sessionStoreFrom } from "./opening.js";
export { Turns } from "./turns.js";
export type {
  CacheStats,
  ChangesOptions,
  ChangeType,
  CountOptions,
  EncryptionKey,
  EncryptionOptions,
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
  SessionSerializer,
  SessionStore,
  SessionStoreOptions,
  TouchOptions,
  TouchOutcome,
  TouchResult,
  UserSession,
} from "./types.js";
