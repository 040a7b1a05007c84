import { Kvm } from "@nats-io/kv";
import type { SessionRecord, SessionStore, SessionStoreOptions, UserSession } from "nats-session-store";
import { openPatient } from "../support/patient.js";
import { type Connection, newBucket, type Variant } from "../support/variants.js";

/** Sessions of these tests: whose they are, and anything else. */
export interface Data {
  user?: string;
  [key: string]: unknown;
}

export const user = (data: Data) => data.user;

/** Opens stores with connections of their own, which are closed together. */
export class Stores {
  readonly #connections: Connection[] = [];

  constructor(private readonly variant: Pick<Variant, "connect">) {}

  async connect(): Promise<Connection> {
    const nc = await this.variant.connect();
    this.#connections.push(nc);
    return nc;
  }

  /** A store that knows users, in a bucket of its own unless one is named. */
  async open(options: SessionStoreOptions = {}): Promise<SessionStore<Data>> {
    return openPatient<Data>(await this.connect(), {
      bucket: newBucket(),
      user,
      ...options,
    });
  }

  async close(): Promise<void> {
    await Promise.all(this.#connections.splice(0).map((nc) => nc.close()));
  }
}

export async function listOf(store: SessionStore<Data>, name: string): Promise<UserSession<Data>[]> {
  const list: UserSession<Data>[] = [];
  for await (const session of store.listOf(name)) list.push(session);
  return list;
}

export async function handlesOf(store: SessionStore<Data>, name: string): Promise<string[]> {
  return (await listOf(store, name)).map(({ handle }) => handle);
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

/** The index entries of a user as another client of the bucket sees them, without those that were removed. */
export async function indexedHandles(
  nc: Connection,
  bucket: string,
  store: SessionStore<Data>,
  name: string,
): Promise<string[]> {
  const kv = await new Kvm(nc as never).open(bucket);
  const handles: string[] = [];
  for await (const key of await kv.keys(`u.${store.ownerOf(name)}.*`)) {
    handles.push(key.split(".").at(-1) as string);
  }
  return handles.sort();
}
