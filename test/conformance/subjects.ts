import type { EventEmitter } from "node:events";
import { NatsStore as ExpressStore } from "connect-nats";
import type session from "express-session";
import { NatsStore as KoaStore } from "koa-session-nats";
import type { SessionRecord, SessionStore, SessionStoreOptions } from "nats-session-store";
import { openPatient, PATIENCE } from "../support/patient.js";
import type { Connection } from "../support/variants.js";

export type Data = Record<string, unknown>;

/** A session in the hands of a request. */
export interface Held {
  readonly data: Data;
  save(life?: number): Promise<void>;
  touch(life?: number): Promise<void>;
}

/** What the core and both adapters have in common, each used the way its framework does. */
export interface Subject {
  /** Stores a new session, as the first request of a browser does; life in ms. */
  create(id: string, data: Data, life?: number): Promise<void>;
  /** Loads a session for a request. */
  hold(id: string): Promise<Held | null>;
  destroy(id: string): Promise<void>;
  readonly sessions: SessionStore;
  /** Where the store tells of events; only adapters do. They also let saves of one object take turns. */
  readonly events?: EventEmitter;
  close(): Promise<void>;
}

export type OpenSubject = (nc: Connection, options?: SessionStoreOptions) => Promise<Subject>;

export const subjects: Record<string, OpenSubject> = {
  core: async (nc, options) => {
    const sessions = await openPatient<Data>(nc, options);
    return {
      sessions,
      create: async (id, data, ttl) => void (await sessions.save(id, data, { ttl })),
      destroy: async (id) => void (await sessions.destroy(id)),
      close: () => sessions.close(),
      hold: async (id) => {
        let record: SessionRecord<Data> | null = await sessions.load(id);
        if (!record) return null;
        const { data } = record;
        const last = record;
        return {
          data,
          save: async (ttl) => {
            ({ record } = await sessions.save(id, data, { record: record ?? last, ttl }));
          },
          touch: async (ttl) => {
            ({ record } = await sessions.touch(id, record ?? last, { ttl }));
          },
        };
      },
    };
  },

  "express-session": async (nc, options) => {
    const store = await ExpressStore.open(nc, { timeout: PATIENCE, ...options });
    const request = (id: string) => ({ sessionID: id, sessionStore: store }) as never;
    const setLife = (held: session.Session, life: number | undefined) => {
      if (life !== undefined) held.cookie.maxAge = life;
    };
    return {
      sessions: store.sessions as unknown as SessionStore,
      events: store,
      create: async (id, data, life) => {
        const cookie = { originalMaxAge: null, expires: null, path: "/" };
        const created = store.createSession(request(id), { cookie } as never);
        setLife(created, life);
        await store.set(id, Object.assign(created, data));
      },
      destroy: async (id) => store.destroy(id),
      close: () => store.close(),
      hold: async (id) => {
        const loaded = await store.get(id);
        if (!loaded) return null;
        const held = store.createSession(request(id), loaded);
        return {
          data: held as unknown as Data,
          save: async (life) => {
            setLife(held, life);
            await store.set(id, held);
          },
          touch: async (life) => {
            setLife(held, life);
            held.touch();
            await store.touch(id, held);
          },
        };
      },
    };
  },

  "koa-session": async (nc, options) => {
    const store = await KoaStore.open(nc, { timeout: PATIENCE, ...options });
    return {
      sessions: store.sessions as SessionStore,
      events: store,
      create: (id, data, life) => set(store, id, data, life, {}),
      destroy: (id) => store.destroy(id, { ctx: {} }),
      close: () => store.close(),
      hold: async (id) => {
        const ctx = {};
        const loaded = await store.get(id, 86_400_000, { ctx, rolling: true });
        if (!loaded) return null;
        const { _expire, _maxAge, _session, ...data } = loaded;
        let unchanged = structuredClone(data);
        return {
          data,
          save: async (life) => {
            await set(store, id, data, life ?? _maxAge, ctx);
            unchanged = structuredClone(data);
          },
          touch: (life) => set(store, id, unchanged, life ?? _maxAge, ctx),
        };
      },
    };
  },
};

/** As ContextSession.save of koa-session does it. */
async function set(
  store: KoaStore,
  id: string,
  data: Data,
  life: number | undefined,
  ctx: object,
): Promise<void> {
  const call = { ctx, changed: true, rolling: true };
  if (life === undefined) return store.set(id, { ...data, _session: true }, "session", call);
  return store.set(id, { ...data, _expire: Date.now() + life, _maxAge: life }, life + 10_000, call);
}
