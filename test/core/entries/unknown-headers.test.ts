import { randomBytes } from "node:crypto";
import { headers, type MsgHdrs } from "@nats-io/nats-core";
import type { NatsConnection } from "@nats-io/transport-node";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { describe, expect, it, onTestFinished } from "vitest";
import { boundTo } from "../../../packages/core/src/format/binding.js";
import { open, seal } from "../../../packages/core/src/format/encryption.js";
import { type Encryption, resolveEncryption } from "../../../packages/core/src/format/encryption-keys.js";
import { decodeSession, othersIn } from "../../../packages/core/src/format/metadata.js";
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
    readonly encryption: Encryption | undefined,
  ) {}

  static async open({ bucket = newBucket(), ...options }: SessionStoreOptions = {}): Promise<Setting> {
    const nc = (await connectCurrent()) as unknown as NatsConnection;
    const store = await SessionStore.open<Data>(nc, { bucket, timeout: PATIENCE, touchAfter: 0, ...options });
    onTestFinished(async () => {
      await store.close();
      await nc.close();
    });
    return new Setting(nc, store, bucket, options.encryption && resolveEncryption(options.encryption));
  }

  async stored(key: string): Promise<Stored> {
    const subject = `$JS.API.DIRECT.GET.KV_${this.bucket}.$KV.${this.bucket}.${key}`;
    const { headers: found, data } = await this.nc.request(subject, undefined, { timeout: PATIENCE });
    if (!found) throw new Error(`There is no entry ${key}`);
    return { headers: found, value: data, revision: Number(found.get("Nats-Sequence")) };
  }

  /** Writes an entry again as a later version would, with headers of its own. */
  async addHeaders(key: string, more: Record<string, string>): Promise<void> {
    const { headers: found, value } = await this.stored(key);
    const before = ownOf(found);
    const after = { ...before, ...more };
    const keyId = before["Session-Key"] ?? "";
    if (keyId === "") return this.put(key, after, value);
    const opened = open(this.encryption, keyId, value, boundBy(key, before));
    await this.put(key, after, seal(this.encryption, opened, boundBy(key, after)).value);
  }

  /** Writes an entry over the one that is there. */
  async put(key: string, list: Record<string, string>, value: Uint8Array): Promise<void> {
    const { revision } = await this.stored(key);
    const sent = headers();
    for (const [name, text] of Object.entries(list)) sent.set(name, text);
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

/** The headers that the writer of an entry gave it. */
function ownOf(found: MsgHdrs): Record<string, string> {
  const names = found.keys().filter((name) => !name.startsWith("Nats-"));
  return Object.fromEntries(names.map((name) => [name, found.get(name)]));
}

/** What an encrypted value is bound to beside these headers. */
function boundBy(key: string, list: Record<string, string>): string {
  const metadata = decodeSession((name) => list[name] ?? "");
  return boundTo(key, { ...metadata, others: othersIn(() => Object.entries(list), metadata, "") });
}

const KEYS = { keys: [{ id: "2027", key: randomBytes(32) }] };

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
  ["encrypted", { user, encryption: KEYS }],
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

it.each<[string, SessionStoreOptions]>([
  ["without encryption", {}],
  ["with secrets for user names", { user, encryption: { userKeys: [randomBytes(32)] } }],
  ["that begins to encrypt", { encryption: { ...KEYS, allowPlain: true } }],
])("a single such header of a plain session is kept by a store %s", async (_title, options) => {
  const setting = await Setting.open();
  await setting.store.save("an id", { n: 1 });
  const key = setting.keyOf("an id");
  await setting.addHeaders(key, { "Session-Later": "yes" });
  const { store } = await Setting.open({ ...options, bucket: setting.bucket });
  const record = await store.load("an id");
  await store.save("an id", { n: 2 }, { record: record as never });
  expect(await setting.othersOf(key)).toMatchObject({ "Session-Later": "yes" });
  expect((await store.load("an id"))?.data).toEqual({ n: 2 });
});

describe("an encrypted session", () => {
  it.each<[string, Record<string, string>]>([
    ["is changed", { "Session-Later": "another value" }],
    ["is taken away", { "Session-Later": "" }],
    ["is added", { "Session-More": "yes" }],
  ])(
    "is corrupt where a header of a later version %s, and the next save does not hide it",
    async (_what, change) => {
      const setting = await Setting.open({ encryption: KEYS });
      const { store } = setting;
      const key = setting.keyOf("an id");
      const { record } = await store.save("an id", { n: 1 });
      await setting.addHeaders(key, LATER);
      expect((await store.load("an id"))?.data).toEqual({ n: 1 });
      const { headers: found, value } = await setting.stored(key);
      const list = Object.entries({ ...ownOf(found), ...change }).filter(([, text]) => text !== "");
      await setting.put(key, Object.fromEntries(list), value);
      const CORRUPT = { code: "ERR_SESSION_CORRUPT" };
      await expect(store.load("an id")).rejects.toMatchObject(CORRUPT);
      await expect(store.save("an id", { n: 2 }, { record: record as never })).rejects.toMatchObject(CORRUPT);
    },
  );

  it("is read where a header of another application is changed", async () => {
    const setting = await Setting.open({ encryption: KEYS });
    const key = setting.keyOf("an id");
    await setting.store.save("an id", { n: 1 });
    await setting.addHeaders(key, LATER);
    const { headers: found, value } = await setting.stored(key);
    await setting.put(key, { ...ownOf(found), "X-Other": "no" }, value);
    expect((await setting.store.load("an id"))?.data).toEqual({ n: 1 });
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
