// A TypeScript application that uses everything the packages declare; it is compiled, never run.
import { connect } from "@nats-io/transport-node";
import { NatsStore as ExpressStore } from "connect-nats";
import session from "express-session";
import koaSession from "koa-session";
import { NatsStore as KoaStore } from "koa-session-nats";
import { connect as connectV2 } from "nats";
import {
  type SessionErrorCode,
  type SessionRecord,
  SessionStore,
  SessionStoreError,
  type SessionStoreOptions,
} from "nats-session-store";

declare module "express-session" {
  interface SessionData {
    userName: string;
  }
}

const options: SessionStoreOptions = { bucket: "sessions", ttl: 3_600_000 };

export async function withTheNewerClient(): Promise<void> {
  const nc = await connect({ servers: "localhost" });
  const store = await ExpressStore.open(nc, options);
  session({ secret: "secret", resave: false, saveUninitialized: false, store });
  const loaded = await store.get("id");
  const name: string | undefined = loaded?.userName;
  store.get("id", (_error, data) => data?.userName.trim());
  await store.destroy("id");
  await store.close();
  koaSession({ store: await KoaStore.open(nc, options) }, { name });
}

export async function withTheOlderClient(): Promise<void> {
  const nc = await connectV2({ servers: "localhost" });
  session({ secret: "secret", store: await ExpressStore.open(nc, options) });
  koaSession({ store: await KoaStore.open(nc) }, {});
}

export function withoutAwait(): void {
  session({ secret: "secret", store: new ExpressStore(connect(), options) });
  session({ secret: "secret", store: new ExpressStore(() => connectV2(), options) });
  koaSession({ store: new KoaStore(connectV2(), options) }, {});
  koaSession({ store: new KoaStore(() => connect(), options) }, {});
}

export function withOneStore(): void {
  const sessions = new SessionStore(() => connect(), options);
  session({ secret: "secret", store: new ExpressStore(sessions) });
  koaSession({ store: new KoaStore(sessions) }, {});
}

interface Cart {
  items: { sku: string; count: number }[];
}

export async function withTheCore(): Promise<SessionErrorCode | undefined> {
  const store: SessionStore<Cart> = await SessionStore.open<Cart>(connect(), options);
  try {
    const record: SessionRecord<Cart> | null = await store.load("id");
    if (record)
      await store.save("id", { items: [...record.data.items, { sku: "tea", count: 1 }] }, { record });
    for await (const { handle, data } of store.all()) console.log(handle, data.items.length);
    for await (const handle of store.handles()) console.log(handle.length);
    const count: number = await store.count({ exact: true });
    console.log(count);
  } catch (error) {
    if (error instanceof SessionStoreError) return error.code;
    throw error;
  }
  return undefined;
}
