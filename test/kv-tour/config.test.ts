import { jetstreamManager } from "@nats-io/jetstream";
import { Kvm } from "@nats-io/kv";
import { Config, type ConfigOptions } from "example-kv-tour";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { BadNetwork } from "../support/bad-network.js";
import { newBucket } from "../support/variants.js";
import { until } from "../support/wait.js";
import { type OwnServer, reconnected, startOwnServer, stateOf, take, Worker } from "./support.js";

let own: OwnServer;
const opened: { close(): Promise<void> }[] = [];
const workers: Worker[] = [];
const networks: BadNetwork[] = [];

beforeAll(async () => {
  own = await startOwnServer();
});
afterEach(async () => {
  await Promise.all(workers.splice(0).map((worker) => worker.kill()));
  await Promise.all(opened.splice(0).map((config) => config.close()));
  await Promise.all(networks.splice(0).map((network) => network.close()));
});
afterAll(() => own?.stop());

const defaults = { greeting: "Hello", pageSize: 20, beta: false, hosts: ["a", "b"], limits: { cpu: 1 } };

async function open(
  bucket: string,
  { nc = own.nc, ...options }: Partial<ConfigOptions<typeof defaults>> & { nc?: typeof own.nc } = {},
): Promise<Config<typeof defaults>> {
  const config = await Config.open(nc, { bucket, defaults, ...options });
  opened.push(config);
  return config;
}

/** A connection that stays away from the server as long as its network is cut. */
async function connectThroughNetwork(): Promise<[BadNetwork, typeof own.nc]> {
  const network = await BadNetwork.start(own.server.port);
  networks.push(network);
  return [network, await own.connect(network.url)];
}

test("defaults, set, get, getAll and delete", async () => {
  const config = await open(newBucket());
  expect(config.getAll()).toEqual(defaults);
  expect(await config.set("pageSize", 50)).toBe(1);
  await config.set("limits", { cpu: 2 });
  expect(config.get("pageSize")).toBe(50);
  expect(config.getAll()).toEqual({ ...defaults, pageSize: 50, limits: { cpu: 2 } });
  await config.delete("pageSize");
  expect(config.get("pageSize")).toBe(20);
  await config.delete("pageSize");
  expect(config.getAll()).toEqual({ ...defaults, limits: { cpu: 2 } });
});

test("what it returns cannot be changed, and changes nothing of the caller's", async () => {
  const config = await open(newBucket());
  const limits = { cpu: 4 };
  await config.set("limits", limits);
  limits.cpu = 8;
  expect(config.get("limits")).toEqual({ cpu: 4 });
  expect(() => config.get("hosts").push("c")).toThrow(TypeError);
  expect(() => Object.assign(config.get("limits"), { cpu: 1 })).toThrow(TypeError);
  expect(Object.isFrozen(defaults.hosts)).toBe(false);
});

test("one that is opened later has everything at once", async () => {
  const bucket = newBucket();
  const config = await open(bucket);
  for (let size = 1; size <= 50; size++) await config.set("pageSize", size);
  await config.set("beta", true);
  await config.delete("beta");
  expect((await open(bucket)).getAll()).toEqual({ ...defaults, pageSize: 50 });
});

test("a change made in another process arrives, and the other way round", async () => {
  const bucket = newBucket();
  const config = await open(bucket);
  await config.set("greeting", "Hi");
  const worker = new Worker("config", own.server.url, bucket);
  workers.push(worker);
  expect(await worker.line()).toBe('ready {"greeting":"Hi"}');
  await config.set("pageSize", 7);
  expect(await worker.line()).toBe("pageSize is now 7");
  await config.delete("greeting");
  expect(await worker.line()).toBe("greeting is now undefined");
  worker.send('greeting="Moin"');
  await until("the other process's value", () => config.get("greeting") === "Moin");
});

test("onChange tells each change once, with the default after a deletion", async () => {
  const bucket = newBucket();
  const [here, there] = [await open(bucket), await open(bucket)];
  const heard: string[][] = [[], []];
  const end = here.onChange((key, value) => heard[0]?.push(`${key}=${value}`));
  there.onChange((key, value) => heard[1]?.push(`${key}=${value}`));
  // The bucket keeps one value per key: a watch need not see one that is overwritten at once.
  const arrived = (change: string) => until(change, () => heard[1]?.at(-1) === change);
  await here.set("pageSize", 1);
  await arrived("pageSize=1");
  await here.set("pageSize", 1); // no change
  await here.set("pageSize", 2);
  await arrived("pageSize=2");
  await here.delete("pageSize");
  await arrived("pageSize=20");
  await here.set("greeting", "end");
  await arrived("greeting=end");
  const expected = ["pageSize=1", "pageSize=2", "pageSize=20", "greeting=end"];
  expect(heard).toEqual([expected, expected]);
  end();
  await here.set("greeting", "more");
  expect(heard[0]).toEqual(expected);
});

test("a listener that throws is told and harms nobody else", async () => {
  const errors: string[] = [];
  const config = await open(newBucket(), { onError: ({ message }) => errors.push(message) });
  const heard: unknown[] = [];
  config.onChange(() => {
    throw new Error("my fault");
  });
  config.onChange((_, value) => heard.push(value));
  await config.set("pageSize", 1);
  await config.set("pageSize", 2);
  expect(heard).toEqual([1, 2]);
  expect(errors).toEqual(["my fault", "my fault"]);
});

test("bad input is refused; bucket and local copy stay as they were", async () => {
  const bucket = newBucket();
  const config = await open(bucket, { limits: { maxValueSize: 200 } });
  await config.set("greeting", "good");
  const before = { state: await stateOf(own.nc, bucket), values: config.getAll() };
  const circular: unknown[] = [];
  circular.push(circular);

  for (const key of ["", " ", "a b", "a..b", ".a", "a.", "*", ">", "a.>", "grüße", "a\r\nb"]) {
    await expect(config.set(key as "greeting", "x")).rejects.toThrow(TypeError);
    await expect(config.set(key as "greeting", "x")).rejects.toThrow("Expected a key of letters");
    await expect(config.delete(key as "greeting")).rejects.toThrow("Expected a key of letters");
  }
  // @ts-expect-error a value of another type than the default's
  await expect(config.set("pageSize", "many")).rejects.toThrow(
    'Expected "pageSize" to be number as its default is, got string',
  );
  await expect(config.set("pageSize", Number.NaN)).rejects.toThrow("got null");
  await expect(config.set("hosts", {} as never)).rejects.toThrow("to be array");
  await expect(config.set("pageSize", undefined as never)).rejects.toThrow("Expected a JSON value");
  await expect(config.set("hosts", circular as never)).rejects.toThrow("circular");
  await expect(config.set("greeting", "x".repeat(200))).rejects.toThrow(
    'Could not write "greeting": message size exceeds maximum allowed',
  );

  expect({ state: await stateOf(own.nc, bucket), values: config.getAll() }).toEqual(before);
});

test("what others store and is not acceptable is told, and the last good value stays", async () => {
  const bucket = newBucket();
  const errors: string[] = [];
  const onError = ({ message }: Error) => void errors.push(message);
  const config = await open(bucket, { onError });
  await config.set("pageSize", 50);
  const kv = await new Kvm(own.nc).open(bucket);
  // The bucket keeps one value per key: a watch need not see one that is overwritten at once.
  await kv.put("pageSize", "{oops");
  await until("word of the first", () => errors.length === 1);
  await kv.put("pageSize", '"many"');
  await until("word of the second", () => errors.length === 2);
  await kv.put("beta", "true");
  await until("the good value", () => config.get("beta"));
  expect(config.get("pageSize")).toBe(50);
  expect(errors).toEqual([
    expect.stringContaining('"pageSize" holds what cannot be used (revision 2)'),
    '"pageSize" holds what cannot be used (revision 3): Expected "pageSize" to be number as its default is, got string',
  ]);

  errors.length = 0;
  const later = await open(bucket, { onError });
  expect(later.getAll()).toEqual({ ...defaults, beta: true });
  expect(errors).toHaveLength(1);
  expect((await kv.get("pageSize"))?.string()).toBe('"many"');
});

test("works on through a crash and a restart of the server", async () => {
  const bucket = newBucket();
  const here = await open(bucket);
  const there = await open(bucket, { nc: await own.connect() });
  await here.set("pageSize", 50);
  for (let round = 1; round <= 2; round++) {
    const back = reconnected(own.nc);
    await own.server.kill();
    expect(here.get("pageSize")).toBe(49 + round);
    await own.server.restart();
    await back;
    await here.set("pageSize", 50 + round);
    await until("the change after the restart", () => there.get("pageSize") === 50 + round);
    await until(
      "the earlier consumers to be gone",
      async () => (await stateOf(own.nc, bucket)).consumers === 2,
    );
  }
});

test("learns after an outage what was set, deleted and removed without a trace meanwhile", async () => {
  const bucket = newBucket();
  const writer = await open(bucket);
  const [network, away] = await connectThroughNetwork();
  const reader = await open(bucket, { nc: away });
  const heard: string[] = [];
  reader.onChange((key, value) => heard.push(`${key}=${JSON.stringify(value)}`));
  await writer.set("greeting", "Hi");
  await writer.set("pageSize", 50);
  await writer.set("beta", true);
  await until("all values", () => reader.get("beta"));
  heard.length = 0;

  const [writerBack, readerBack] = [reconnected(own.nc), reconnected(away)];
  network.cut();
  await own.server.restart();
  await writerBack;
  await writer.set("hosts", ["c"]);
  await writer.delete("greeting");
  await (await jetstreamManager(own.nc)).streams.purge(`KV_${bucket}`, { filter: `$KV.${bucket}.pageSize` });
  expect(reader.getAll()).toEqual({ ...defaults, greeting: "Hi", pageSize: 50, beta: true });
  network.mend();
  await readerBack;
  await until("all changes", () => heard.length === 3);
  expect(heard.sort()).toEqual(['greeting="Hello"', 'hosts=["c"]', "pageSize=20"]);
  expect(reader.getAll()).toEqual({ ...defaults, hosts: ["c"], beta: true });
});

test("follows a bucket that was deleted and made anew during an outage, where revisions begin again", async () => {
  const bucket = newBucket();
  const [network, away] = await connectThroughNetwork();
  const reader = await open(bucket, { nc: away });
  for (const size of [1, 2, 3]) await reader.set("pageSize", size);
  const [back, readerBack] = [reconnected(own.nc), reconnected(away)];
  network.cut();
  await own.server.restart();
  await back;
  await (await jetstreamManager(own.nc)).streams.delete(`KV_${bucket}`);
  const writer = await open(bucket);
  expect(await writer.set("pageSize", 99)).toBe(1);
  network.mend();
  await readerBack;
  await until("the new value", () => reader.get("pageSize") === 99);
});

test("close leaves no consumer; get goes on, set does not", async () => {
  const bucket = newBucket();
  const config = await Config.open(own.nc, { bucket, defaults });
  await config.set("pageSize", 50);
  expect((await stateOf(own.nc, bucket)).consumers).toBe(1);
  await config.close();
  await config.close();
  expect((await stateOf(own.nc, bucket)).consumers).toBe(0);
  expect(config.get("pageSize")).toBe(50);
  await expect(config.set("pageSize", 51)).rejects.toThrow("The configuration is closed");
  await expect(config.delete("pageSize")).rejects.toThrow("The configuration is closed");
  expect((await stateOf(own.nc, bucket)).lastRevision).toBe(1);
});

test("the step of the tour", async () => {
  const { said, left } = await take("config", own);
  expect(left).toEqual([]);
  expect(said).toContain('nobody has set anything: {"greeting":"Hello","pageSize":20,"beta":false}');
  expect(said).toContain("there: pageSize is now 50");
  expect(said).toContain("greeting was set there, get() says Good morning");
  expect(said).toContain("the server was restarted, get() says Good morning");
  expect(said).toContain("there: beta is now true");
  expect(said).toContain("message size exceeds maximum allowed");
  expect(said).toContain('error: "pageSize" holds what cannot be used');
  expect(said).toContain("pageSize is still 50");
  expect(said).toMatch(/all: \{"greeting":"Good morning","pageSize":20,"beta":false\}$/);
});
