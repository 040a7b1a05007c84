import type { EventEmitter } from "node:events";
import { jetstreamManager } from "@nats-io/jetstream";
import type { GoneEvent } from "connect-nats";
import type { SessionStoreOptions } from "nats-session-store";
import { afterAll, beforeAll } from "vitest";
import { PATIENCE } from "../../support/patient.js";
import { type Connection, connectCurrent, newBucket } from "../../support/variants.js";
import { stopApps } from "./app.js";
import type { AdapterStore, Framework } from "./framework.js";
import type { Visit } from "./visit.js";
import type { Visitor } from "./visitor.js";

export type Data = Record<string, unknown>;

/** An entry of a bucket as any NATS client sees it. */
export interface StoredEntry {
  readonly revision: number;
  readonly text: string;
  /** What the write was: `create`, `update`, `touch` or `destroy`. */
  readonly write: string | undefined;
  header(name: string): string | undefined;
}

/** A connection for the applications of a test file; they are stopped after it. */
export function useApps() {
  let nc: Connection;
  beforeAll(async () => {
    nc = await connectCurrent();
  });
  afterAll(async () => {
    await stopApps();
    await nc?.close();
  });

  function open<V extends Visit, S extends AdapterStore, O>(
    framework: Framework<V, S, O>,
    options: SessionStoreOptions = {},
  ): Promise<S> {
    return framework.Store.open(nc, { bucket: newBucket(), touchAfter: 0, timeout: PATIENCE, ...options });
  }

  async function entryOf(bucket: string, handle: string): Promise<StoredEntry> {
    const { streams } = await jetstreamManager(nc as never);
    const message = await streams.getMessage(`KV_${bucket}`, { last_by_subj: `$KV.${bucket}.s.${handle}` });
    if (!message) throw new Error("There is no entry");
    const header = (name: string) => message.header.get(name) || undefined;
    return { revision: message.seq, text: message.string(), write: header("Session-Write"), header };
  }

  /** An application and a browser that is signed in to it as `ada`. */
  async function signedIn<V extends Visit, S extends AdapterStore, O>(
    framework: Framework<V, S, O>,
    { data = {}, settings, ...options }: { data?: Data; settings?: NoInfer<O> } & SessionStoreOptions = {},
  ) {
    const bucket = options.bucket ?? newBucket();
    const store = await open(framework, { ...options, bucket });
    const app = await framework.start(store, settings);
    const gone: GoneEvent[] = [];
    (store as unknown as EventEmitter).on("gone", (event) => gone.push(event));
    const ada = app.visitor();
    await ada.visit(change({ user: "ada", ...data }));
    const id = framework.idOf(ada) as string;
    const handle = store.sessions.handleOf(id);
    return {
      bucket,
      store,
      app,
      ada,
      id,
      handle,
      /** The `gone` events of the store. */
      gone,
      isStored: async () => (await store.sessions.load(id)) !== null,
      expiry: async () => (await store.sessions.load(id))?.expiresAt ?? 0,
      entry: () => entryOf(bucket, handle),
    };
  }

  return {
    get nc() {
      return nc;
    },
    open,
    signedIn,
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

export const signOut = (visit: Visit) => visit.destroy();

export const whoAmI = ({ session }: Visit) => session.user;

/** The session as a later request of the browser finds it, without what belongs to the framework. */
export async function seenBy<V extends Visit>(visitor: Visitor<V>): Promise<Data> {
  const { result } = await visitor.copy().visit(({ session }) => JSON.stringify(session));
  const { cookie: _cookie, ...data } = JSON.parse(result as string);
  return data;
}
