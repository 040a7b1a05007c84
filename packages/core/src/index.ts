export { type SessionErrorCode, SessionStoreError } from "./errors.js";
export { handleOf } from "./format/keys.js";
export type {
  EncryptionKey,
  EncryptionOptions,
  KeyConflict,
  Resolve,
  SessionSerializer,
  SessionStoreOptions,
} from "./options.js";
export { SessionStore } from "./store.js";
export type {
  CacheStats,
  ChangesOptions,
  ChangeType,
  CountOptions,
  FeedEvent,
  FeedInterruption,
  MissedChanges,
  NatsConnectionLike,
  NatsConnectionSource,
  OnEndedOptions,
  RotateOptions,
  SaveOptions,
  SaveOutcome,
  SaveResult,
  SessionChange,
  SessionChanges,
  SessionData,
  SessionEnd,
  SessionRecord,
  TouchOptions,
  TouchOutcome,
  TouchResult,
  UserSession,
} from "./types.js";
