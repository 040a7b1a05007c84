import { randomBytes } from "node:crypto";
import { inspect } from "node:util";
import { jetstreamManager } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { startNatsServer } from "nats-dev-server";
import type { SessionErrorCode, SessionStoreOptions } from "nats-session-store";
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from "vitest";
import { stopApps } from "../adapters/support/app.js";
import { frameworks } from "../adapters/support/frameworks.js";
import { encryptionBy, keyOf } from "../support/keys.js";
import { openPatient, PATIENCE } from "../support/patient.js";
import { RawBucket } from "../support/raw-bucket.js";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";

/** What must turn up nowhere: each is in use below as what its name says. */
const secrets = {
  id: `id-${randomBytes(18).toString("base64url")}`,
  otherId: `id-${randomBytes(18).toString("base64url")}`,
  data: `data-${randomBytes(18).toString("base64url")}`,
  user: `user-${randomBytes(18).toString("base64url")}`,
  password: `password-${randomBytes(18).toString("base64url")}`,
  key: Buffer.from(keyOf("newest").key as Uint8Array).toString("base64"),
  keyInHex: Buffer.from(keyOf("newest").key as Uint8Array).toString("hex"),
};

/** Everything that was printed, told or sent, with where it came from. */
const seen: [from: string, text: string][] = [];
const note = (from: string, thing: unknown) => {
  const text = typeof thing === "string" ? thing : inspect(thing, { depth: 12, showHidden: true });
  seen.push([from, text]);
};
const codes = new Set<SessionErrorCode>();

/** Notes the error of an operation, all of it: message, stack, cause and hidden properties. */
async function failing(operation: () => Promise<unknown>): Promise<void> {
  const error = await operation().then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(Error);
  note("error", error);
  note("error as JSON", JSON.stringify(error) ?? "");
  for (let cause = error as Error | undefined; cause; cause = cause.cause as Error | undefined) {
    note("error text", `${cause.message}\n${cause.stack}\n${String(cause)}`);
  }
  const { code } = error as { code?: SessionErrorCode };
  if (code?.startsWith("ERR_SESSION_")) codes.add(code);
}

function expectNoLeak(allowed: readonly string[] = []): void {
  expect(seen.length).toBeGreaterThan(0);
  const leaks = seen.flatMap(([from, text]) =>
    Object.entries(secrets)
      .filter(([name, secret]) => !allowed.includes(name) && text.includes(secret))
      .map(([name]) => `${name} in ${from}: ${text.slice(0, 300)}`),
  );
  expect(leaks).toEqual([]);
}

let nc: Connection;
let listener: Connection;

beforeAll(async () => {
  for (const method of ["log", "info", "warn", "error", "debug", "trace"] as const) {
    vi.spyOn(console, method).mockImplementation((...texts) => note(`console.${method}`, texts));
  }
  process.on("warning", (warning) => note("warning", warning));
  [nc, listener] = await Promise.all([connectCurrent(), connectCurrent()]);
});
afterEach(() => seen.splice(0));
afterAll(async () => {
  vi.restoreAllMocks();
  await stopApps();
  await Promise.all([nc.close(), listener.close()]);
});

/** Hears all that is sent in the account: subjects, and with encryption headers and values too. */
function listen(encrypted: boolean): { stop(): Promise<void> } {
  const subscription = listener.subscribe(">", {
    callback: (
      _error,
      message?: { subject: string; reply?: string; data: Uint8Array; headers?: unknown },
    ) => {
      if (!message) return;
      note("subject", `${message.subject} ${message.reply ?? ""}`);
      note("headers", String(message.headers));
      if (encrypted) note("value", Buffer.from(message.data).toString("latin1"));
    },
  });
  return {
    async stop() {
      await nc.flush();
      await listener.flush();
      subscription.unsubscribe();
    },
  };
}

describe.each([
  ["plain", {}],
  ["encrypted", { encryption: encryptionBy("newest", "older") }],
] as [string, SessionStoreOptions][])(
  "what a store prints, throws and sends with sessions that are %s",
  (name, extra) => {
    const user = (data: { user?: string }) => data.user;
    const data = () => ({ user: secrets.user, word: secrets.data, password: secrets.password });

    it("contains no id, no data and no user, whatever goes wrong", async () => {
      await listener.flush();
      const ears = listen(name === "encrypted");
      const bucket = newBucket();
      const options = { bucket, user, touchAfter: 0, ...extra };
      const store = await openPatient(nc, options);
      const changes = store.changes();
      await changes.ready;
      const followed = (async () => {
        for await (const change of changes) note("change", change);
      })();

      const saved = await store.save(secrets.id, data());
      const record = await store.load(secrets.id);
      note("handle", [store.handleOf(secrets.id), store.hashUser(secrets.user), record?.handle]);
      await store.touch(secrets.id, record as never);
      await store.save(secrets.id, { ...data(), n: 1 }, { record: saved.record as never });
      for await (const handle of store.handles()) note("listed", handle);
      await store.count({ exact: true });

      const strict = await openPatient(nc, {
        ...options,
        onConflict: "error",
        maxTtl: 86_400_000 * 30,
        onTtlTooLong: "error",
      });
      await failing(() => strict.save(secrets.id, { ...data(), n: 2 }, { record: record as never }));
      await failing(() => store.save(secrets.id, { ...data(), big: 1n }));
      const circle: Record<string, unknown> = data();
      circle.self = circle;
      await failing(() => store.save(secrets.id, circle));
      await failing(() => store.save(secrets.id, { ...data(), pad: secrets.data.repeat(60_000) }));
      await failing(() => strict.save(secrets.id, data(), { ttl: 86_400_000 * 31 }));
      await failing(() => store.save(secrets.otherId, data(), { record: record as never }));
      await failing(() => store.rotate(secrets.id, secrets.id, data(), { record: record as never }));
      const limited = await openPatient(nc, { ...options, maxSessionsPerUser: 1, onLimit: "refuse" });
      await failing(() => limited.save(secrets.otherId, data()));
      await failing(() => openPatient(nc, { bucket: newBucket(), createBucket: false }));
      await failing(() => openPatient(nc, { ...options, replicas: 3 }));
      await failing(() => openPatient(nc, { ...options, encryption: { keys: [secrets.key] } as never }));
      await failing(() => openPatient(nc, { ...options, encryption: { key: secrets.key } as never }));

      const raw = new RawBucket(nc, bucket);
      const key = `s.${store.handleOf(secrets.id)}`;
      const entry = await raw.get(key);
      const broken = Buffer.from(`{"word":"${secrets.data}", oh no ${secrets.password}`);
      const { "Session-Key": _key, ...plain } = entry.headers;
      await ears.stop();
      await raw.put(key, { headers: plain, value: broken });
      await failing(() => store.load(secrets.id));
      await failing(() => store.save(secrets.id, data(), { record: record as never }));
      await raw.put(key, {
        headers: { ...entry.headers, "Session-Created": "yesterday" },
        value: entry.value,
      });
      await failing(() => store.load(secrets.id));
      await raw.put(key, { headers: { ...entry.headers, "Session-Key": "unknown" }, value: entry.value });
      await failing(() => store.load(secrets.id));
      await store.destroy(secrets.id);

      const full = await openPatient(nc, { ...extra, bucket: newBucket(), maxBytes: 2000 });
      await failing(() => full.save(secrets.id, { ...data(), pad: secrets.data.repeat(100) }));
      const silent = newBucket();
      await (await openPatient(nc, { bucket: silent })).close();
      const dumb = await openPatient(nc, { bucket: silent, ...extra, createBucket: false });
      const manager = await jetstreamManager(nc as never);
      const { config } = await manager.streams.info(`KV_${silent}`);
      const { republish: _republish, ...rest } = config;
      const deaf = newBucket();
      await manager.streams.add({ ...rest, name: `KV_${deaf}`, subjects: [`$KV.${deaf}.>`] });
      const unheard = await openPatient(nc, { bucket: deaf });
      await failing(() => unheard.changes().ready);
      await manager.streams.delete(`KV_${silent}`);
      await failing(() => dumb.save(secrets.id, data()));

      await Promise.all([store, strict, limited, full, dumb, unheard].map((one) => one.close()));
      await followed;
      await failing(() => store.load(secrets.id));
      expectNoLeak();
    });

    it("contains no password of NATS when a server refuses, is off or is gone", async () => {
      const { password } = secrets;
      const users = `users: [ { user: app, password: ${password} }, { user: nobody, password: ${password}, permissions: { publish: "x" } } ]`;
      const server = await startNatsServer({ config: `authorization { ${users} }` });
      const off = await startNatsServer({ jetstream: false });
      const app = await connect({ servers: server.url, user: "app", pass: password, reconnect: false });
      const nobody = await connect({ servers: server.url, user: "nobody", pass: password });
      const plain = await connect({ servers: off.url });
      const store = await openPatient(app, extra);
      await store.save(secrets.id, data());
      await failing(() => openPatient(nobody, extra));
      await failing(() => openPatient(plain, { timeout: 2000, ...extra }));
      await server.kill();
      await failing(() => store.load(secrets.id));
      await failing(() => store.save(secrets.id, data()));
      note("store", store);
      note("server's log", server.log() + off.log());
      await Promise.all([store.close(), nobody.close(), plain.close()]);
      await Promise.all([server.stop(), off.stop()]);
      expectNoLeak();
    });

    it("includes errors of nearly every code", () => {
      const provoked: SessionErrorCode[] = [
        "ERR_SESSION_UNAVAILABLE",
        "ERR_SESSION_CLOSED",
        "ERR_SESSION_PERMISSION",
        "ERR_SESSION_JETSTREAM_OFF",
        "ERR_SESSION_BUCKET_MISSING",
        "ERR_SESSION_BUCKET_MISMATCH",
        "ERR_SESSION_BUCKET_FULL",
        "ERR_SESSION_TTL_TOO_LONG",
        "ERR_SESSION_TOO_LARGE",
        "ERR_SESSION_SERIALIZE",
        "ERR_SESSION_CORRUPT",
        "ERR_SESSION_KEY_UNKNOWN",
        "ERR_SESSION_CONFLICT",
        "ERR_SESSION_LIMIT",
        "ERR_SESSION_NO_FEED",
      ];
      for (const code of provoked) expect([...codes]).toContain(code);
      codes.clear();
    });

    it.each(frameworks)("contains nothing of a visitor of $name", async (framework) => {
      const ears = listen(name === "encrypted");
      const bucket = newBucket();
      const store = await framework.Store.open(nc, { bucket, timeout: PATIENCE, ...extra });
      const emitter = store as unknown as { on(event: string, listener: (...told: unknown[]) => void): void };
      for (const event of ["gone", "error"]) {
        emitter.on(event, (...told) => note(`event ${event}`, told));
      }
      const app = await framework.start(store);
      const ada = app.visitor();
      await ada.visit(({ session }) => {
        Object.assign(session, { user: secrets.user, word: secrets.data });
      });
      const id = framework.idOf(ada) ?? "";
      await ada.visit(({ session }) => {
        session.n = 1;
      });
      const late = ada.copy();
      await ada.visit(async ({ session, save }) => {
        session.bad = 1n;
        await save().catch((error) => note("error", error));
        delete session.bad;
      });
      await ada.visit(({ session }) => {
        session.pad = secrets.data.repeat(60_000);
      });
      await late.visit(async ({ session }) => {
        await ada.visit(({ destroy }) => destroy());
        session.n = 2;
      });
      await ears.stop();
      await store.close();
      await late.visit(() => null);
      expect(app.failures.length).toBeGreaterThan(0);
      for (const failure of app.failures) note("failure", failure);
      const texts = seen.map(([, text]) => text).join("\n");
      expect(id.length).toBeGreaterThan(20);
      expect(texts).not.toContain(id);
      // The secrets that the cookies are signed with.
      for (const secret of ["a secret of the tests", "a key of the tests"])
        expect(texts).not.toContain(secret);
      expectNoLeak();
    });
  },
);
