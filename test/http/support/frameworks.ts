import type {
  NatsConnectionLike,
  SessionStore,
  SessionStoreOptions,
  SessionStoreSource,
} from "nats-session-store";
import type { App, Settings, Visit } from "./app.js";
import { expressFramework } from "./express.js";
import { koaFramework } from "./koa.js";
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
    // biome-ignore lint/suspicious/noExplicitAny: each adapter has session data of its own
    new (source: SessionStoreSource<any>): S;
    open(nc: NatsConnectionLike, options?: SessionStoreOptions): Promise<S>;
  };
  /** Starts an application over the store. */
  start(store: S, settings?: O): Promise<App<V>>;
  /** The session id in a visitor's cookie. */
  idOf(visitor: Visitor<V>): string | undefined;
  /** Cookies that carry the id and a signature that the application accepts. */
  cookiesOf(id: string): Record<string, string>;
}

/** Both frameworks, for a specification that speaks of neither. */
export const frameworks = [expressFramework, koaFramework] as unknown as Framework<
  Visit,
  AdapterStore,
  Settings
>[];
