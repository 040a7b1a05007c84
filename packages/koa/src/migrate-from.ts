import type { KitMigration, MigrateFrom, OldStoreForm } from "nats-session-store/adapter";
import { fromStored, type KoaSessionData, STORE_MARGIN, toStored } from "./stored.js";

/** A store of koa-session. */
export interface KoaStore {
  get(key: string, maxAge: number | undefined, options: { rolling: boolean }): unknown;
  set(
    key: string,
    session: object,
    maxAge: number | undefined,
    options: { rolling: boolean; changed: boolean },
  ): unknown;
  destroy(key: string, options: object): unknown;
}

/** How stores of koa-session are called, and how its sessions look to them. */
const form: OldStoreForm<KoaStore> = {
  get: async (store, key) => store.get(key, undefined, { rolling: false }),
  set: async (store, key, value, ttl) =>
    store.set(key, value, ttl + STORE_MARGIN, { rolling: false, changed: true }),
  destroy: async (store, key) => store.destroy(key, {}),

  fromOld(value) {
    const data = value as KoaSessionData;
    const { _expire, _session } = data;
    const expiresAt = Number.isFinite(_expire) && _session !== true ? _expire : undefined;
    return { data: toStored(data, _session === true), expiresAt };
  },

  toOld: (data, expiresAt) => fromStored(data as KoaSessionData, expiresAt),
};

/** What moves the sessions of another store in. */
export function migrationFrom(option: MigrateFrom<object>): KitMigration<KoaStore> {
  return { option, form, comparable: (_key, value) => value };
}
