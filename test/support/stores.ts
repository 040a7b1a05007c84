import type {
  NatsConnectionSource,
  SessionRecord,
  SessionStore,
  SessionStoreOptions,
  UserSession,
} from "nats-session-store";
import { openPatient } from "./patient.js";
import { type Connection, newBucket, type Variant } from "./variants.js";

/** Sessions of these tests: whose they are, and anything else. */
export interface Data {
  user?: string;
  [key: string]: unknown;
}

export const user = (data: Data) => data.user;

/** Opens stores with connections of their own, which are closed together. */
export class Stores {
  readonly #connections: Connection[] = [];

  constructor(private readonly variant: Pick<Variant, "connect" | "shards">) {}

  async connect(): Promise<Connection> {
    const nc = await this.variant.connect();
    this.#connections.push(nc);
    return nc;
  }

  /** A store that knows users, in a bucket of its own unless one is named. */
  async open(options: SessionStoreOptions = {}): Promise<SessionStore<Data>> {
    return this.openOn(await this.connect(), options);
  }

  /** As `open`, over a connection that is there. */
  openOn(nc: NatsConnectionSource, options: SessionStoreOptions = {}): Promise<SessionStore<Data>> {
    const { shards } = this.variant;
    return openPatient<Data>(nc, { bucket: newBucket(), user, shards, ...options });
  }

  /** The stores of two processes on one bucket. */
  async openTwo(
    options: SessionStoreOptions = {},
  ): Promise<[one: SessionStore<Data>, other: SessionStore<Data>]> {
    const shared = { bucket: newBucket(), ...options };
    return [await this.open(shared), await this.open(shared)];
  }

  async close(): Promise<void> {
    await Promise.all(this.#connections.splice(0).map((nc) => nc.close()));
  }
}

export async function sessionsOf(store: SessionStore<Data>, name: string): Promise<UserSession<Data>[]> {
  const list: UserSession<Data>[] = [];
  for await (const session of store.listByUser(name)) list.push(session);
  return list;
}

export async function handlesOf(store: SessionStore<Data>, name: string): Promise<string[]> {
  return (await sessionsOf(store, name)).map(({ handle }) => handle);
}

/** Saves a session with a life so short that it may be over on a busy machine before it is stored; then again. */
export async function saveBriefly(
  store: SessionStore<Data>,
  id: string,
  data: Data,
  ttl: number,
): Promise<SessionRecord<Data>> {
  for (;;) {
    const { record } = await store.save(id, data, { ttl });
    if (record) return record;
  }
}
