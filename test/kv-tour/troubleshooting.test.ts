import { readFile } from "node:fs/promises";
import { type KV, Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { startNatsServer } from "nats-dev-server";
import { afterAll, beforeAll, expect, inject, test } from "vitest";
import { newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";

// The messages that the README quotes, as today's client and server give them.
let readme: string;
let nc: NatsConnection;
let kvm: Kvm;

beforeAll(async () => {
  readme = await readFile(new URL("../../examples/kv-tour/README.md", import.meta.url), "utf8");
  nc = await connect({ servers: inject("currentServer") });
  kvm = new Kvm(nc);
});

afterAll(() => nc?.close());

async function expectQuoted(attempt: Promise<unknown>, message: string, code?: number): Promise<void> {
  const error = await attempt.then(
    () => undefined,
    (reason: unknown) => reason as Error & { code?: number },
  );
  expect(error?.message).toContain(message);
  expect(readme).toContain(`\`${message}`);
  if (code === undefined) return;
  expect(error?.code).toBe(code);
  expect(readme).toContain(`(${code})`);
}

async function list(kv: KV): Promise<string[]> {
  const keys: string[] = [];
  for await (const key of await kv.keys()) keys.push(key);
  return keys;
}

test("a bucket that is not there", async () => {
  const kv = await kvm.open(newBucket());
  await expectQuoted(kv.get("a"), "stream not found", 10059);
  await expectQuoted(kv.status(), "stream not found", 10059);
  await expectQuoted(kv.watch(), "stream not found", 10059);
  await expectQuoted(kv.put("a", "1"), "jetstream is not enabled");
});

test("bad input, which leaves the bucket as it was", async () => {
  const kv = await kvm.create(newBucket(), { maxValueSize: 100 });
  await kv.put("a", "1");
  for (const key of ["", "user ada", "*", "ü", ".a", "a."]) {
    await expect(kv.put(key, "1"), key).rejects.toThrow(`invalid key: ${key}`);
  }
  await expectQuoted(kv.put("user ada", "1"), "invalid key: user ada");
  await expectQuoted(kv.put("a..b", "1"), "jetstream is not enabled");
  await expectQuoted(kv.put("a", "x".repeat(101)), "message size exceeds maximum allowed");
  await expectQuoted(kv.put("a", "x".repeat(2 ** 20 + 1)), "'payload' max_payload size exceeded");
  await expectQuoted(kvm.create("a.b"), "invalid bucket name: a.b");
  const { streamInfo } = await kv.status();
  expect(streamInfo.state.last_seq).toBe(1);
  expect((await kv.get("a"))?.string()).toBe("1");
  await kv.destroy();
});

test("a conflict, a TTL where there is none, one that is too short, a full bucket", async () => {
  const kv = await kvm.create(newBucket(), { max_bytes: 200 });
  await kv.put("a", "1");
  await kv.put("a", "2");
  await expectQuoted(kv.update("a", "3", 1), "wrong last sequence: 2", 10071);
  await expectQuoted(kv.create("b", "1", "2s"), "per-message TTL is disabled", 10166);
  await expectQuoted(kv.put("b", "x".repeat(200)), "maximum bytes exceeded", 10077);
  await kv.destroy();

  const withTtl = await kvm.create(newBucket(), { markerTTL: 60_000 });
  await expectQuoted(withTtl.create("a", "1", "500ms"), "invalid per-message TTL", 10165);
  await withTtl.destroy();
});

test("keys that are missing, deleted and expired", async () => {
  const kv = await kvm.create(newBucket(), { markerTTL: 60_000 });
  expect(await kv.get("never")).toBeNull();
  await kv.put("deleted", "1");
  await kv.delete("deleted");
  await kv.create("expired", "1", "1s");
  await until("it has expired", async () => (await kv.get("expired"))?.operation === "PURGE");
  expect((await kv.get("deleted"))?.operation).toBe("DEL");
  expect(await list(kv)).toEqual(["expired"]);
  expect(readme).toContain("`keys()` names a key that has expired");
  await kv.destroy();
});

test("a server without JetStream", async () => {
  await using server = await startNatsServer({ jetstream: false });
  const connection = await connect({ servers: server.url });
  await expectQuoted(new Kvm(connection).create("b"), "jetstream is not enabled");
  await connection.close();
});

test("accounts and permissions", async () => {
  const publish = ["$JS.API.INFO", "$JS.API.STREAM.INFO.KV_b", "$JS.API.STREAM.MSG.GET.KV_b"];
  await using server = await startNatsServer({
    config: `accounts {
      SHOP { jetstream: enabled, users: [
        { user: owner, password: secret }
        { user: reader, password: secret, permissions: { publish: ${JSON.stringify(publish)}, subscribe: ["_INBOX.>"] } }
        { user: nobody, password: secret, permissions: { publish: ["nothing"], subscribe: ["_INBOX.>"] } }
      ] }
      BLOG { jetstream: enabled, users: [{ user: other, password: secret }] }
    }`,
  });
  const connections: NatsConnection[] = [];
  const open = async (user: string): Promise<KV> => {
    const connection = await connect({ servers: server.url, user, pass: "secret" });
    connections.push(connection);
    return new Kvm(connection).open("b");
  };

  const owner = await open("owner");
  await new Kvm(connections[0] as NatsConnection).create("b");
  await owner.put("k", "1");

  const reader = await open("reader");
  expect((await reader.get("k"))?.string()).toBe("1");
  await expectQuoted(reader.put("k", "2"), 'Permissions Violation for Publish to "$KV.b.k"');
  const consumer = 'Permissions Violation for Publish to "$JS.API.CONSUMER.CREATE.KV_b.';
  await expectQuoted(reader.watch(), consumer);
  await expectQuoted(reader.keys(), consumer);

  const nobody = await open("nobody");
  await expectQuoted(nobody.get("k"), 'Permissions Violation for Publish to "$JS.API.STREAM.MSG.GET.KV_b"');

  // The other tenant's bucket of the same name is another bucket.
  const other = await open("other");
  await expectQuoted(other.get("k"), "stream not found", 10059);

  await expectQuoted(
    connect({ servers: server.url, user: "owner", pass: "wrong" }),
    "Authorization Violation",
  );
  for (const connection of connections) await connection.close();
});
