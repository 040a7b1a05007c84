import type { EventEmitter } from "node:events";
import type { GoneEvent } from "connect-nats";
import type { SessionStore, SessionStoreOptions } from "nats-session-store";
import type { Settings, Visit } from "../../http/support/app.js";
import { expressFramework } from "../../http/support/express.js";
import type { AdapterStore, Framework } from "../../http/support/frameworks.js";
import { koaFramework } from "../../http/support/koa.js";
import type { Visitor } from "../../http/support/visitor.js";
import { PATIENCE } from "../../support/patient.js";
import { type Connection, newBucket } from "../../support/variants.js";

export type Data = Record<string, unknown>;

/** A store of either adapter: it tells of sessions that were ended elsewhere. */
export interface TellingStore extends AdapterStore, EventEmitter {
  readonly sessions: SessionStore;
}

/** Both frameworks, for a specification that speaks of neither. */
export const frameworks = [expressFramework, koaFramework] as unknown as Framework<
  Visit,
  TellingStore,
  Settings
>[];

/**
 * An application and one browser that is signed in to it. Requests overlap by nesting: a step that makes another
 * request and waits for its answer is slow, and everything the other one did is stored before it goes on.
 */
export async function browse<V extends Visit, S extends AdapterStore, O>(
  framework: Framework<V, S, O>,
  nc: Connection,
  {
    data = {},
    settings,
    ...options
  }: { data?: Data; settings?: NoInfer<O> } & Omit<SessionStoreOptions, "bucket"> = {},
) {
  const bucket = newBucket();
  const store = await framework.Store.open(nc, { bucket, touchAfter: 0, timeout: PATIENCE, ...options });
  const app = await framework.start(store, settings);
  const gone: GoneEvent[] = [];
  (store as unknown as TellingStore).on("gone", (event) => gone.push(event));

  const ada = app.visitor();
  await ada.visit(change({ user: "ada", ...data }));
  const id = framework.idOf(ada) as string;
  return {
    bucket,
    store,
    app,
    ada,
    id,
    /** What the store told about sessions that were ended elsewhere. */
    gone,
    handle: store.sessions.handleOf(id),
    isStored: async () => (await store.sessions.load(id)) !== null,
  };
}

/** A step that changes keys; `undefined` removes one. */
export function change(data: Data): (visit: Visit) => null {
  return ({ session }) => {
    for (const [key, value] of Object.entries(data)) {
      if (value === undefined) delete session[key];
      else session[key] = value;
    }
    return null;
  };
}

/** A step that signs out. */
export const signOut = (visit: Visit) => visit.destroy();

/** The session as a later request of the browser finds it, without what belongs to the framework. */
export async function seenBy<V extends Visit>(visitor: Visitor<V>): Promise<Data> {
  const { result } = await visitor.copy().visit(({ session }) => JSON.stringify(session));
  const { cookie: _cookie, ...data } = JSON.parse(result as string);
  return data;
}

/** A place where everybody waits until so many have come: then all of them go on. */
export function meeting(count: number): () => Promise<void> {
  let missing = count;
  let open = () => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return () => {
    missing--;
    if (missing === 0) open();
    return opened;
  };
}

/** The numbers from 1, for as many requests at once. */
export const numbers = (count: number) => Array.from({ length: count }, (_, n) => n + 1);
