// Compiled by `npm run types`, never run: what fits where without a cast.
import type { NatsConnection as CoreConnection } from "@nats-io/nats-core";
import type { NatsConnection } from "@nats-io/transport-node";
import { NatsStore as ExpressStore } from "connect-nats";
import type { SessionData, SessionOptions, Store } from "express-session";
import type { CreateSessionOptions } from "koa-session";
import { type KoaSessionData, NatsStore as KoaStore } from "koa-session-nats";
import type { NatsConnection as OlderConnection } from "nats";
import {
  type NatsConnectionLike,
  openSessionStore,
  type SessionRecord,
  type SessionStore,
  type SessionStoreOptions,
  sessionStoreFrom,
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
  openSessionStore(nc),
  openSessionStore(older, options),
  openSessionStore(Promise.resolve(nc), options),
  openSessionStore(Promise.resolve(older)),
];
// @ts-expect-error a URL is no connection
openSessionStore("nats://127.0.0.1:4222");

// Stores where the frameworks take them.
export const forExpress: SessionOptions = { secret: "secret", store: expressStore };
export const asStore: Store = expressStore;
export const forKoa: CreateSessionOptions = { store: koaStore };
// @ts-expect-error each framework has its own
export const wrongForExpress: SessionOptions = { secret: "secret", store: koaStore };

// Every way to give an adapter its store.
new ExpressStore(() => openSessionStore<SessionData>(nc));
new ExpressStore(openSessionStore(nc));
new KoaStore(openSessionStore(older));
new KoaStore(sessionStoreFrom<KoaSessionData>(() => openSessionStore(nc)));
// @ts-expect-error a connection is not a store
new ExpressStore(nc);

// The store's contract: callbacks and promises.
export const promised: [
  Promise<SessionData | null>,
  Promise<number>,
  Promise<SessionData[]>,
  Promise<string[]>,
] = [expressStore.get("id"), expressStore.length(), expressStore.all(), expressStore.ids()];
expressStore.get("id", (_error, session) => session?.cookie);
expressStore.length((_error, count) => count?.toFixed());

// Data of the caller's own type, in and out.
interface Cart {
  items: string[];
}
export async function typedData(): Promise<string[] | undefined> {
  const store = await openSessionStore<Cart>(nc);
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
};
// @ts-expect-error a duration is a number of milliseconds
export const duration: SessionStoreOptions = { ttl: "1h" };
// @ts-expect-error no such option
export const unknown: SessionStoreOptions = { tll: 1000 };
