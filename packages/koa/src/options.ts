import type { SessionStore, SessionStoreOptions } from "nats-session-store";
import type { MigrateFrom } from "nats-session-store/adapter";
import type { KoaStore } from "./migrate-from.js";

/** The options of the core, and one of this adapter. */
export interface NatsStoreOptions extends SessionStoreOptions {
  /**
   * The store that holds the sessions now, so that they move in from there and nobody is signed out: any store of
   * koa-session, or another store of this project. A session that is not here, and was not ended here, is asked for
   * there, and stored here with its remaining life; a destroy ends it in both. Where the old store does not answer,
   * nothing is known of the session (`ERR_SESSION_UNAVAILABLE`). `phase` says what processes of the release before
   * may do meanwhile, see {@link MigrateFrom}.
   * @default none
   * @example { store: redisStore({ url }), phase: "old-first" }
   */
  // biome-ignore lint/suspicious/noExplicitAny: a store of the core, whatever its sessions hold
  migrateFrom?: MigrateFrom<KoaStore | SessionStore<any>> | undefined;
}
