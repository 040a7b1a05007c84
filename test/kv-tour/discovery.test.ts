import { Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { Discovery, type DiscoveryOptions } from "example-kv-tour";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { newBucket } from "../support/variants.js";
import { until, untilTime } from "../support/wait.js";
import { type OwnServer, reconnected, startOwnServer, stateOf, take, Worker } from "./support.js";

let own: OwnServer;
const opened: Discovery[] = [];
const workers: Worker[] = [];

beforeAll(async () => {
  own = await startOwnServer();
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.kill()));
  await Promise.all(opened.splice(0).map((discovery) => discovery.close()));
});
afterAll(() => own?.stop());

async function open(
  bucket: string,
  { nc = own.nc, ...options }: DiscoveryOptions & { nc?: NatsConnection } = {},
): Promise<Discovery> {
  const discovery = await Discovery.open(nc, { bucket, ...options });
  opened.push(discovery);
  return discovery;
}

async function start(bucket: string, id: string, ttl: number): Promise<Worker> {
  const worker = new Worker("instance", own.server.url, bucket, "mail", id, String(ttl));
  workers.push(worker);
  expect(await worker.line()).toBe("ready");
  return worker;
}

const ids = (discovery: Discovery, service = "mail") => discovery.list(service).map(({ id }) => id);

test("register, list, pick in turn, deregister", async () => {
  const bucket = newBucket();
  const [here, there] = [await open(bucket), await open(bucket)];
  expect(here.pick("mail")).toBeUndefined();
  const a = await here.register("mail", "10.0.0.1:25", { id: "a" });
  const b = await here.register("mail", "10.0.0.2:25", { id: "b" });
  const { id } = await here.register("web", "10.0.0.3:80");
  await until("all three", () => there.list().length === 3);
  expect(there.list()).toEqual([a, b, { service: "web", id, address: "10.0.0.3:80" }]);
  expect(there.list("mail")).toEqual([a, b]);
  const picked = [1, 2, 3, 4].map(() => there.pick("mail")?.id);
  expect([...picked].sort()).toEqual(["a", "a", "b", "b"]);
  expect(picked[0]).toBe(picked[2]);

  await here.deregister(a);
  expect(ids(here)).toEqual(["b"]);
  await until("the deregistration", () => ids(there).join() === "b");
  expect(there.pick("mail")).toEqual(b);
});

test("an instance stays as long as it lives, and is gone after its TTL when it is killed", async () => {
  const bucket = newBucket();
  const discovery = await open(bucket);
  const ttl = 5000;
  const [a] = [await start(bucket, "a", ttl), await start(bucket, "b", ttl)];
  await until("both", () => ids(discovery).join() === "a,b");
  let changes = 0;
  discovery.onChange(() => changes++);
  const killed = Date.now();
  await a.kill();
  expect(ids(discovery)).toEqual(["a", "b"]);
  await until("the killed one to be gone", () => ids(discovery).join() === "b");
  // The other one would be gone by now too, had it not renewed itself; renewals are no changes.
  await untilTime(killed + ttl + 2500);
  expect(ids(discovery)).toEqual(["b"]);
  expect(changes).toBe(1);
  expect(discovery.pick("mail")?.id).toBe("b");
});

test("an instance that stood still for too long is back when it goes on", async () => {
  const bucket = newBucket();
  const discovery = await open(bucket);
  const worker = await start(bucket, "a", 1000);
  await until("the instance", () => ids(discovery).length === 1);
  worker.signal("SIGSTOP");
  await until("it to be gone", () => ids(discovery).length === 0);
  worker.signal("SIGCONT");
  await until("it to be back", () => ids(discovery).length === 1);
});

test("an instance that closes is gone at once, with its renewals", async () => {
  const bucket = newBucket();
  const discovery = await open(bucket);
  const worker = await start(bucket, "a", 60_000);
  await until("the instance", () => ids(discovery).length === 1);
  worker.send("close");
  expect(await worker.line()).toBe("closed");
  await until("it to be gone", () => ids(discovery).length === 0);

  const other = await Discovery.open(own.nc, { bucket });
  await other.register("mail", "here", { ttl: 1000 });
  await other.close();
  const { lastRevision } = await stateOf(own.nc, bucket);
  await untilTime(Date.now() + 700); // two renewals would have come
  expect(await stateOf(own.nc, bucket)).toEqual({ lastRevision, values: 2, consumers: 1 });
});

test("a server that was away for longer than the TTL has all that live, and only those, when it is back", async () => {
  const bucket = newBucket();
  const [nc, errors] = [await own.connect(), [] as Error[]];
  const client = await open(bucket);
  const service = await open(bucket, { nc, onError: (error) => errors.push(error) });
  await service.register("mail", "here", { id: "lives", ttl: 3000 });
  const worker = await start(bucket, "dies", 3000);
  await until("both", () => ids(client).join() === "dies,lives");
  const back = reconnected(own.nc);
  await own.server.kill();
  await worker.kill();
  await untilTime(Date.now() + 3200);
  expect(ids(client)).toEqual(["dies", "lives"]); // what was known last
  await own.server.restart();
  await back;
  await until("what lives", () => ids(client).join() === "lives");
  await until("word of a renewal that failed", () => errors.length > 0);
  expect(errors[0]?.message).toMatch(/^Could not renew "mail\.lives": /);
});

test("bad input is refused, and the bucket stays as it was", async () => {
  const bucket = newBucket();
  const discovery = await open(bucket);
  await discovery.register("mail", "first", { id: "a" });
  const before = await stateOf(own.nc, bucket);
  for (const name of ["", "a b", "a.b", "*", ">"]) {
    await expect(discovery.register(name, "x")).rejects.toThrow("Expected a name of letters");
    await expect(discovery.register("mail", "x", { id: name })).rejects.toThrow("Expected a name of letters");
    await expect(discovery.deregister({ service: "mail", id: name })).rejects.toThrow(TypeError);
  }
  for (const ttl of [0, -1000, 500, 1500, Number.NaN, Number.POSITIVE_INFINITY]) {
    await expect(discovery.register("mail", "x", { ttl })).rejects.toThrow("Expected `ttl` in milliseconds");
  }
  await expect(discovery.register("mail", "x", { id: "a" })).rejects.toThrow("wrong last sequence");
  await expect(discovery.register("mail", undefined as never)).rejects.toThrow("Expected an address");
  expect(await stateOf(own.nc, bucket)).toEqual(before);
  expect(discovery.list()).toEqual([{ service: "mail", id: "a", address: "first" }]);
});

test("what others store and is no instance is told and left out", async () => {
  const bucket = newBucket();
  const errors: string[] = [];
  const discovery = await open(bucket, { onError: ({ message }) => errors.push(message) });
  const kv = await new Kvm(own.nc).open(bucket);
  await kv.put("mail", '{"address":"x"}');
  await kv.put("mail.a.b", '{"address":"x"}');
  await kv.put("mail.a", "not JSON");
  await kv.put("mail.b", '{"address":7}');
  await kv.put("mail.c", '{"address":"fine"}');
  await until("the last one", () => ids(discovery).length === 1);
  expect(ids(discovery)).toEqual(["c"]);
  expect(errors).toHaveLength(4);
  expect(errors[0]).toBe('"mail" is not an instance: expected a key of the form service.id');
});

test("a bucket without TTLs per key is refused", async () => {
  const bucket = newBucket();
  await new Kvm(own.nc).create(bucket, { ttl: 60_000 });
  await expect(Discovery.open(own.nc, { bucket })).rejects.toThrow(
    `The bucket "${bucket}" keeps no TTL per key`,
  );
});

test("after close nothing can be registered", async () => {
  const discovery = await Discovery.open(own.nc, { bucket: newBucket() });
  await discovery.close();
  await discovery.close();
  await expect(discovery.register("mail", "x")).rejects.toThrow("The discovery is closed");
});

test("the step of the tour", async () => {
  const { said, left } = await take("discovery", own);
  expect(left).toEqual([]);
  expect(said).toContain("three instances have registered: a,b,c");
  const answers = [...said.matchAll(/call \d was answered by (.)/g)].map(([, id]) => id);
  expect([...new Set(answers)].sort()).toEqual(["a", "b", "c"]);
  expect(said).toContain("a is killed, and for the moment still listed: a,b,c");
  expect(said).toMatch(/gone \d+\.\d s later: b,c/);
  expect(said).toContain("b has deregistered: c");
  expect(said).toContain("a client picks c; of a service that nobody offers: undefined");
});
