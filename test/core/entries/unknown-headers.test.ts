import { randomBytes } from "node:crypto";
import { headers, type MsgHdrs } from "@nats-io/nats-core";
import type { NatsConnection } from "@nats-io/transport-node";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { describe, expect, it, onTestFinished } from "vitest";
import { PATIENCE } from "../../support/patient.js";
import { type Data, user } from "../../support/stores.js";
import { connectCurrent, newBucket } from "../../support/variants.js";

interface Stored {
  readonly headers: MsgHdrs;
  readonly value: Uint8Array;
  readonly revision: number;
}

/** A store, and what another version of it does to its entries. */
class Setting {
  private constructor(
    readonly nc: NatsConnection,
    readonly store: SessionStore<Data>,
    readonly bucket: string,
  ) {}

  static async open(options: SessionStoreOptions = {}): Promise<Setting> {
    const nc = (await connectCurrent()) as unknown as NatsConnection;
    const bucket = newBucket();
    const store = await SessionStore.open<Data>(nc, { bucket, timeout: PATIENCE, touchAfter: 0, ...options });
    onTestFinished(async () => {
      await store.close();
      await nc.close();
    });
    return new Setting(nc, store, bucket);
  }

  async stored(key: string): Promise<Stored> {
    const subject = `$JS.API.DIRECT.GET.KV_${this.bucket}.$KV.${this.bucket}.${key}`;
    const { headers: found, data } = await this.nc.request(subject, undefined, { timeout: PATIENCE });
    if (!found) throw new Error(`There is no entry ${key}`);
    return { headers: found, value: data, revision: Number(found.get("Nats-Sequence")) };
  }

  /** Writes an entry again as a later version would, with headers of its own. */
  async addHeaders(key: string, more: Record<string, string>): Promise<void> {
    const { headers: before, value, revision } = await this.stored(key);
    const sent = headers();
    for (const name of before.keys()) if (name.startsWith("Session-")) sent.set(name, before.get(name));
    for (const [name, text] of Object.entries(more)) sent.set(name, text);
    sent.set("Nats-Expected-Last-Subject-Sequence", String(revision));
    const options = { timeout: PATIENCE, headers: sent };
    const { data } = await this.nc.request(`$KV.${this.bucket}.${key}`, value, options);
    expect(JSON.parse(Buffer.from(data).toString()).error).toBeUndefined();
  }

  async othersOf(key: string): Promise<Record<string, string>> {
    const { headers: found } = await this.stored(key);
    return Object.fromEntries(OTHERS.map((name) => [name, found.get(name)]));
  }

  keyOf(id: string): string {
    return `s.${this.store.handleOf(id)}`;
  }
}

const LATER = {
  "Session-Later": "a value of the next version",
  "Session-And-More": "2: 3",
  "X-Other": "yes",
};
const OTHERS = Object.keys(LATER);

describe.each<[string, SessionStoreOptions]>([
  ["without options", {}],
  ["with users", { user }],
  ["with a near cache", { cache: true }],
  ["encrypted", { user, encryption: { keys: [{ id: "2027", key: randomBytes(32) }] } }],
])("an entry with headers that this version does not know, %s,", (_title, options) => {
  const begin = async () => {
    const setting = await Setting.open(options);
    const key = setting.keyOf("an id");
    await setting.store.save("an id", { user: "ada", n: 1 });
    await setting.addHeaders(key, LATER);
    expect(await setting.othersOf(key)).toEqual(LATER);
    return { setting, key, store: setting.store };
  };

  it("keeps them through touch, save and update", async () => {
    const { setting, key, store } = await begin();
    const loaded = await store.load("an id");
    const touched = await store.touch("an id", loaded as never, { ttl: 90_000_000 });
    expect(touched.outcome).toBe("touched");
    expect(await setting.othersOf(key)).toEqual(LATER);
    await store.save("an id", { user: "ada", n: 2 }, { record: touched.record as never });
    expect(await setting.othersOf(key)).toEqual(LATER);
    await store.update("an id", (data) => ({ ...data, n: 3 }));
    expect(await setting.othersOf(key)).toEqual(LATER);
    expect((await setting.stored(key)).headers.get("Session-Write")).toBe("update");
    expect((await store.load("an id"))?.data).toEqual({ user: "ada", n: 3 });
  });

  it("keeps them through a save that replaces it, and through one that meets it as a conflict", async () => {
    const { setting, key, store } = await begin();
    await store.save("an id", { user: "ada", n: 2 });
    expect(await setting.othersOf(key)).toEqual(LATER);
    const [one, other] = [await store.load("an id"), await store.load("an id")];
    await setting.addHeaders(key, { ...LATER, "X-Other": "again" });
    await store.save("an id", { user: "ada", n: 2, a: 1 }, { record: one as never });
    const { outcome } = await store.save("an id", { user: "ada", n: 2, b: 1 }, { record: other as never });
    expect(outcome).toBe("merged");
    expect(await setting.othersOf(key)).toEqual({ ...LATER, "X-Other": "again" });
  });

  it("takes them along when its id is renewed", async () => {
    const { setting, store } = await begin();
    const loaded = await store.load("an id");
    await store.rotate("an id", "another id", { user: "ada" }, { record: loaded as never });
    expect(await setting.othersOf(setting.keyOf("another id"))).toEqual(LATER);
  });

  it("leaves none behind for a session that begins under the same id after it has ended", async () => {
    const { setting, key, store } = await begin();
    await store.destroy("an id");
    await store.save("an id", {});
    expect(await setting.othersOf(key)).toEqual({
      "Session-Later": "",
      "Session-And-More": "",
      "X-Other": "",
    });
  });
});

it("the index entry of a user keeps such headers, too", async () => {
  const setting = await Setting.open({ user });
  const { store } = setting;
  await store.save("one", { user: "ada" });
  const key = `u.${store.hashUser("ada")}`;
  await setting.addHeaders(key, LATER);
  await store.save("two", { user: "ada" });
  expect(await setting.othersOf(key)).toEqual(LATER);
});

it("headers that mean something to NATS are not kept", async () => {
  const setting = await Setting.open();
  const { store } = setting;
  await store.save("an id", { n: 1 });
  const key = setting.keyOf("an id");
  await setting.addHeaders(key, { "Nats-Msg-Id": "once", "X-Other": "yes" });
  const record = await store.load("an id");
  const saved = await store.save("an id", { n: 2 }, { record: record as never });
  expect(saved.outcome).toBe("saved");
  const { headers: found } = await setting.stored(key);
  expect([found.get("Nats-Msg-Id"), found.get("X-Other")]).toEqual(["", "yes"]);
});
