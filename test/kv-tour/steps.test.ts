import { Kvm } from "@nats-io/kv";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { steps } from "example-kv-tour";
import { afterAll, beforeAll, expect, inject, test } from "vitest";

let nc: NatsConnection;

beforeAll(async () => {
  nc = await connect({ servers: inject("currentServer") });
});

afterAll(() => nc?.close());

/** Runs a step where an earlier run has left its bucket behind, and returns what it said. */
async function take(name: string): Promise<string> {
  const bucket = `tour-${name}`;
  const left = await new Kvm(nc).create(bucket, { description: "left by a crash" });
  await left.put("left", "behind");
  const said = await run(name, nc);
  expect(await bucketNames()).not.toContain(bucket);
  return said;
}

async function run(name: string, connection: NatsConnection): Promise<string> {
  const said: string[] = [];
  await steps[name]?.run({
    nc: connection,
    servers: connection.getServer(),
    say: (text) => said.push(text),
    restartServer: () => Promise.reject(new Error("The server is shared")),
  });
  return said.join("\n");
}

async function bucketNames(): Promise<string[]> {
  const names: string[] = [];
  for await (const { bucket } of new Kvm(nc).list()) names.push(bucket);
  return names;
}

const time = String.raw`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z`;

test("bucket: settings, what it holds, the list of buckets", async () => {
  const said = await take("bucket");
  expect(said).toContain("description: What the shop has in stock");
  expect(said).toContain("values:      3 (2 keys, one of them with 2 revisions)");
  expect(said).toContain("history:     10 revisions per key");
  expect(said).toContain("TTL:         3600 s");
  expect(said).toMatch(/bytes: {7}[1-9]\d*$/m);
  expect(said).toContain("value size:  at most 1024 bytes");
  expect(said).toContain("stream:      KV_tour-bucket, 1 replica, file storage");
  expect(said).toMatch(/^All buckets of this account: .*\btour-bucket\b/m);
  expect(said).toMatch(/Deleted tour-bucket with all it held$/);
});

test("crud: values, revisions, times, and what is missing", async () => {
  const said = await take("crud");
  expect(said).toContain('get user.ada: {"name":"Ada","city":"London"}');
  expect(said).toMatch(new RegExp(`^revision 1, operation PUT, written at ${time}$`, "m"));
  expect(said).toContain("update user.ada from revision 1: revision 3");
  expect(said).toContain('get user.ada: {"name":"Ada","city":"Ockham"}');
  expect(said).toContain("keys user.*: user.ada, user.alan\n");
  expect(said).toContain("get user.alan, deleted: operation DEL, revision 4, no value");
  expect(said).toContain("get user.grace, never written: null");
  expect(said).toContain("\nkeys: user.ada\n");
  expect(said).toMatch(/user\.ada has a value: true\nuser\.alan .* false\nuser\.grace .* false/);
});

test("crud: bad input is refused and leaves the bucket as it was", async () => {
  const said = await take("crud");
  expect(said).toContain('put "": Error: invalid key: ');
  expect(said).toContain('put "user ada": Error: invalid key: user ada');
  expect(said).toContain("put 257 bytes: JetStreamApiError: message size exceeds maximum allowed");
  expect(said).toContain("The bucket is as it was: true");
  expect(said).toMatch(/json\(\) of user\.bob: SyntaxError: .*not valid JSON/);
});

test("history: five revisions with operations and times, and an old one", async () => {
  const said = await take("history");
  const rows = [...said.matchAll(new RegExp(`^revision (\\d)  (\\w+) +(\\S+)  ${time}$`, "gm"))];
  expect(rows.map(([, ...columns]) => columns)).toEqual([
    ["2", "PUT", "90"],
    ["3", "PUT", "80"],
    ["4", "DEL", "-"],
    ["5", "PUT", "85"],
    ["6", "PUT", "95"],
  ]);
  expect(said).toContain("price at revision 3: 80");
  expect(said).toContain("price at revision 1: null");
  expect(said).toContain("Put 80 back as revision 7, after 6");
  expect(said).toContain("After a purge the history is: PURGE");
});

test("revisions: a stale update and a second create are refused, no update is lost", async () => {
  const said = await take("revisions");
  expect(said).toContain("create once more: refused, 10071 wrong last sequence: 1");
  expect(said).toContain("client A, update from revision 1 to 9: revision 2");
  expect(said).toContain("client B, update from revision 1 to 8: refused, 10071 wrong last sequence: 2");
  expect(said).toContain("stock.apples is 9: A's change is kept");
  expect(said).toMatch(
    /Five clients take one apple each at the same time, in \d+ attempts\nstock\.apples is 4$/m,
  );
  expect(said).toContain("delete at revision 2: refused, 10071");
});

test("watch: all keys and one key, deletes included, each to its end", async () => {
  const said = (await take("watch")).split("\n");
  expect(said.filter((line) => line.startsWith("all keys: "))).toEqual([
    "all keys:   PUT door.front = closed (revision 1)",
    "all keys:   PUT door.back = open (revision 2)",
    "all keys:   that is all there was; what follows are changes",
    "all keys:   PUT door.front = open (revision 3)",
    "all keys:   PUT alarm = ringing (revision 4)",
    "all keys:   DEL door.front (revision 5)",
    "all keys:   DEL alarm (revision 6)",
  ]);
  expect(said.filter((line) => line.startsWith("front door: "))).toEqual([
    "front door: PUT door.front = open (revision 3)",
    "front door: DEL door.front (revision 5)",
  ]);
  expect(said.at(-1)).toBe("Both watches have stopped");
});

test("ttl: there half-way, gone after, and the marker that tells of it", async () => {
  const said = await take("ttl");
  // A machine that stands still may miss the moment in which a key is there, never see one go too soon.
  const looks = [...said.matchAll(/^(code|note), .*, after (\d+\.\d) s: (\w+)$/gm)].map((look) =>
    look.slice(1),
  );
  expect(looks.map(([key]) => key)).toEqual(["code", "code", "note", "note"]);
  const [halfWay, after, renewed, last] = looks.map(([, seconds, found]) => ({
    seconds: Number(seconds),
    found,
  }));
  expect(halfWay?.found).toBe(
    halfWay && halfWay.seconds < 2 ? "471193" : expect.stringMatching(/471193|gone/),
  );
  expect(after?.found).toBe("gone");
  expect(after?.seconds).toBeGreaterThanOrEqual(2);
  expect(renewed?.found).toBe(renewed && renewed.seconds < 5 ? "final" : expect.stringMatching(/final|gone/));
  expect(last?.found).toBe("gone");
  expect(last?.seconds).toBeGreaterThanOrEqual(5);
  expect(said).toContain("Nats-Marker-Reason: MaxAge");
});

const oldServer = inject("oldServer");
test.each(oldServer === undefined ? [] : [oldServer])(
  "ttl: an old server is named as the reason",
  async (url) => {
    const old = await connect({ servers: url });
    try {
      await expect(run("ttl", old)).rejects.toThrow("A TTL for a key needs nats-server 2.11 or later");
    } finally {
      await old.close();
    }
  },
);

test("sessions: the raw entry, its headers and TTL, a merge, a logout, the feed", async () => {
  const said = await take("sessions");
  const key = /^key: {3}(s\.[\w-]{43})$/m.exec(said)?.[1];
  expect(said).toContain('value: {"user":"ada","visits":1}');
  const header = (name: string) => new RegExp(`^ +${name}: (.*)$`, "m").exec(said)?.[1];
  expect(header("Session-Format")).toBe("1");
  expect(header("Session-Write")).toBe("create");
  expect(header("Nats-TTL")).toBe("1800s");
  expect(Number(header("Session-Expires")) - Number(header("Session-Created"))).toBe(1_800_000);
  expect(said).toContain('the second is merged: {"user":"ada","visits":2,"theme":"dark"}');
  expect(said).toContain("A request that was still running saves: gone");
  expect(said).toContain(`${key} is DEL`);
  expect(
    said
      .split("The feed had:\n")[1]
      ?.split("\n")
      .map((line) => line.trim()),
  ).toEqual([
    "create  revision 1, after 0",
    "update  revision 2, after 1",
    "merge   revision 3, after 2",
    "destroy revision 4, after 3",
  ]);
});

test("compare: each claim names a source that is listed, and each source is used", async () => {
  const said = await run("compare", nc);
  const [table = "", list = ""] = said.split("\n\n");
  const topics = table.split("\n").map((line) => line.slice(0, 15).trim());
  expect(topics.filter((name) => name !== "" && !name.startsWith("-"))).toEqual([
    "consistency",
    "versions",
    "watch",
    "TTL",
    "compare-and-set",
    "clustering",
    "size limits",
  ]);
  const cited = [...table.matchAll(/\[([NRE]\d(?:,[NRE]\d)*)\]/g)].map(([, ids = ""]) => ids.split(","));
  expect(cited).toHaveLength(7 * 3);
  const listed = [...list.matchAll(/^\[(\w\d)\] https:\/\/\S+$/gm)].map(([, id]) => id);
  expect(new Set(cited.flat())).toEqual(new Set(listed));
  for (const line of table.split("\n")) expect(line.length).toBeLessThanOrEqual(100);
});
