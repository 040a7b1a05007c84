import { corrupt, type SessionStoreError, unavailable } from "../errors.js";
import { isTooDeep } from "../format/depth.js";
import { handleOf } from "../format/keys.js";
import { saveSession } from "../operations/save.js";
import { SessionStore } from "../store.js";
import type { SessionData } from "../types.js";
import { within } from "../util/within.js";

/** A session as the old store has it. */
export interface OldSession {
  /** In the form that the adapter stores. */
  readonly data: object;
  /** When it ends (Unix ms), where the old store says so. */
  readonly expiresAt?: number | undefined;
  /** How long it lives from now (ms), where the old store does not say when it ends. */
  readonly ttl?: number | undefined;
  /** When it began (Unix ms), where the old store says so. */
  readonly createdAt?: number | undefined;
}

/** The store that sessions come from. Every call ends by its deadline; every failure is an outage. */
export interface OldStore {
  load(id: string, deadline: number): Promise<OldSession | null>;
  store(id: string, data: object, expiresAt: number, deadline: number): Promise<void>;
  end(id: string, deadline: number): Promise<void>;
}

/** How a framework's stores are called, and how its sessions look to them. */
export interface OldStoreForm<S> {
  get(store: S, id: string): PromiseLike<unknown>;
  set(store: S, id: string, value: object, ttl: number): PromiseLike<unknown>;
  destroy(store: S, id: string): PromiseLike<unknown>;
  /** @throws `ERR_SESSION_CORRUPT` for what the framework has not stored */
  fromOld(value: object): OldSession;
  toOld(data: object, expiresAt: number): object;
}

/** A store of the framework. */
export function frameworkStore<S>(store: S, form: OldStoreForm<S>): OldStore {
  return {
    async load(id, deadline) {
      const value = await asked(deadline, () => form.get(store, id));
      if (typeof value !== "object" || value === null) return null;
      if (isTooDeep(value)) throw corrupt("it is nested too deep");
      return form.fromOld(value);
    },
    async store(id, data, expiresAt, deadline) {
      const value = form.toOld(data, expiresAt);
      await asked(deadline, () => form.set(store, id, value, expiresAt - Date.now()));
    },
    async end(id, deadline) {
      await asked(deadline, () => form.destroy(store, id));
    },
  };
}

/**
 * Another bucket, or the same one in another form: handles, ages and data stay as they are. What is copied there is
 * not a sign-in there: a rotated session has both of its ids for a moment.
 */
export function coreStore(store: SessionStore<SessionData>): OldStore {
  const { lifecycle, context } = SessionStore.partsOf(store);
  return {
    async load(id, deadline) {
      return asked(deadline, () => store.load(id));
    },
    async store(id, data, expiresAt, deadline) {
      const options = { ttl: expiresAt - Date.now(), mayExist: true, isLimited: false };
      await asked(deadline, () =>
        lifecycle.operate("save", id, (until, trace) =>
          saveSession(context, handleOf(id), data, options, until, trace),
        ),
      );
    },
    async end(id, deadline) {
      await asked(deadline, () => store.destroy(id));
    },
  };
}

/** The core's store in what a caller calls a store; `undefined` where it is another project's. */
export function coreStoreIn(store: object): SessionStore<SessionData> | undefined {
  if (store instanceof SessionStore) return store;
  const { sessions } = store as { sessions?: unknown };
  return sessions instanceof SessionStore ? sessions : undefined;
}

async function asked<R>(deadline: number, ask: () => PromiseLike<R>): Promise<R> {
  // A store that throws instead of rejecting has failed, too.
  const task = new Promise<R>((resolve) => resolve(ask()));
  const answer = task.catch((cause) => {
    throw failed("it failed", cause);
  });
  return within(deadline, answer, () => failed("it did not answer in time"));
}

function failed(why: string, cause?: unknown): SessionStoreError {
  return unavailable(`the store that they are migrated from cannot be asked, ${why}`, cause);
}
