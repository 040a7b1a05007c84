// Compiled by `npm run types`, never run: what fits where without a cast.
import type { NatsConnection as CoreConnection } from "@nats-io/nats-core";
import type { NatsConnection } from "@nats-io/transport-node";
import { NatsStore as ExpressStore, rotate } from "connect-nats";
import type { Request } from "express";
import type { SessionData, SessionOptions, Store } from "express-session";
import type { CreateSessionOptions } from "koa-session";
import { type KoaSessionData, NatsStore as KoaStore } from "koa-session-nats";
import type { NatsConnection as OlderConnection } from "nats";
import {
  type NatsConnectionLike,
  type SessionChange,
  type SessionRecord,
  SessionStore,
  type SessionStoreOptions,
} from "nats-session-store";

declare const nc: NatsConnection;
declare const older: OlderConnection;
declare const core: CoreConnection;
declare const expressStore: ExpressStore;
declare const koaStore: KoaStore;
declare const options: SessionStoreOptions;

// Connections of both generations, ready or promised.
export const connections: NatsConnectionLike[] = [nc, older, core];
export const opened: Promise<SessionStore>[] = [
  SessionStore.open(nc),
  SessionStore.open(older, options),
  SessionStore.open(Promise.resolve(nc), options),
  SessionStore.open(Promise.resolve(older)),
];
// @ts-expect-error a URL is no connection
SessionStore.open("nats://127.0.0.1:4222");

// Stores where the frameworks take them.
export const forExpress: SessionOptions = { secret: "secret", store: expressStore };
export const asStore: Store = expressStore;
export const forKoa: CreateSessionOptions = { store: koaStore };
// @ts-expect-error each framework has its own
export const wrongForExpress: SessionOptions = { secret: "secret", store: koaStore };

// Every way to give an adapter its connection, or a store of the core.
new ExpressStore(nc);
new ExpressStore(Promise.resolve(older), options);
new ExpressStore(() => nc, options);
new KoaStore(async () => older);
new KoaStore(new SessionStore<KoaSessionData>(nc));
new ExpressStore(new SessionStore<SessionData>(nc));
// @ts-expect-error a URL is no connection
new ExpressStore("nats://127.0.0.1:4222");

// The store's contract: callbacks and promises.
export const promised: [Promise<SessionData | null>, Promise<number>, Promise<SessionData[]>] = [
  expressStore.get("id"),
  expressStore.length(),
  expressStore.all(),
];
expressStore.get("id", (_error, session) => session?.cookie);
expressStore.length((_error, count) => count?.toFixed());

// Data of the caller's own type, in and out.
interface Cart {
  items: string[];
}
export async function typedData(): Promise<string[] | undefined> {
  const store = await SessionStore.open<Cart>(nc);
  const record: SessionRecord<Cart> | null = await store.load("id");
  if (record) await store.save("id", { items: [] }, { record, ttl: 1000 });
  // @ts-expect-error not a cart
  await store.save("id", { user: "ada" });
  return record?.data.items;
}

// Options are checked by name and type, and may be given as undefined.
export const known: SessionStoreOptions = {
  bucket: undefined,
  ttl: 1000,
  storage: "memory",
  placement: undefined,
  resolve: (key, { base, ours, theirs }) => (key === "visits" ? ours + theirs - base : ours),
};
const tags = ["ssd"] as const;
export const placed: SessionStoreOptions = { placement: { cluster: process.env.CLUSTER, tags } };
// @ts-expect-error a duration is a number of milliseconds
export const duration: SessionStoreOptions = { ttl: "1h" };
// @ts-expect-error no such option
export const unknown: SessionStoreOptions = { tll: 1000 };

// Users, limits, changes and new ids.
export const users: SessionStoreOptions = {
  user: (data: Cart & { user?: string }) => data.user,
  maxSessionsPerUser: 3,
  onLimit: "refuse",
};
// @ts-expect-error a user has a name
export const numbered: SessionStoreOptions = { user: () => 5 };
// @ts-expect-error one of two words
export const limited: SessionStoreOptions = { onLimit: "end-newest" };

export async function typedUsers(store: SessionStore<Cart>): Promise<void> {
  for await (const { data, handle, lastWriteAt } of store.listByUser("ada")) {
    const texts: string[] = [...data.items, handle, lastWriteAt.toFixed()];
    await store.destroyByHandle(texts[0] as string, { user: "ada" });
  }
  const ended: number = await store.destroyByUser("ada", { except: store.handleOf("id") });
  const record = await store.load("id");
  if (record) (await store.rotate("id", "new id", { items: [] }, { record, ttl: ended })).record?.data.items;
  for await (const change of store.changes({ buffer: 10 })) {
    // @ts-expect-error not every change is of a session
    change.handle;
    if (!("handle" in change)) continue;
    const told: SessionChange = change;
    const userHash: string | undefined = told.userHash ?? told.movedTo;
    userHash?.concat(told.handle, told.revision.toFixed(), told.at.toFixed());
  }
}

export function typedEvents(request: Request): Promise<void> {
  expressStore.on("gone", ({ handle, operation }) => [handle.length, operation]);
  koaStore.on("gone", ({ handle }) => handle.length);
  expressStore.on("error", (error) => error.message);
  // @ts-expect-error no such field
  koaStore.on("gone", ({ id }) => id);
  return rotate(request);
}
