import type { SessionSource } from "connect-nats";
import type { SessionStore, SessionStoreOptions } from "nats-session-store";
import type { App } from "./app.js";
import type { Visit } from "./visit.js";
import type { Visitor } from "./visitor.js";

/** An adapter's store, as far as every adapter has the same. */
export interface AdapterStore {
  readonly sessions: Pick<SessionStore, "count" | "handleOf" | "close"> & {
    load(id: string): Promise<{ readonly expiresAt: number; readonly revision: number } | null>;
  };
  close(): Promise<void>;
}

/** All that differs between the frameworks whose sessions behave the same. */
export interface Framework<V extends Visit, S extends AdapterStore, O> {
  readonly name: string;
  readonly Store: {
    new (source: SessionSource, options?: SessionStoreOptions): S;
    open(source: SessionSource, options?: SessionStoreOptions): Promise<S>;
  };
  /** Starts an application over the store. */
  start(store: S, settings?: O): Promise<App<V>>;
  /** The session id in a visitor's cookie. */
  idOf(visitor: Visitor<V>): string | undefined;
  /** Cookies that carry the id and a signature that the application accepts. */
  cookiesOf(id: string): Record<string, string>;
}
