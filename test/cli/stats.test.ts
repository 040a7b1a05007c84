import { handleOf } from "nats-session-store";
import { expect, it } from "vitest";
import { encodeSession } from "../../packages/core/src/format/metadata.js";
import { putEntry } from "../support/put-entry.js";
import { until } from "../support/wait.js";
import { jsonOf, linesOf, plain, run, start, startInTerminal } from "./support/program.js";
import { startApplication } from "./support/sessions.js";

it("stats counts sessions, users, tombstones, bytes and keys", async () => {
  const { bucket, nc, store, signIn } = await startApplication();
  const encrypted = await startApplication({
    bucket,
    encryption: { keys: [{ id: "k1", key: Buffer.alloc(32, 1) }] },
  });
  await signIn("a", { user: "ada" });
  await signIn("b", { user: "ada" });
  await encrypted.signIn("c", { user: "bob" });
  await signIn("ended");
  await store.destroy("ended");
  await putEntry(nc, bucket, `s.${store.handleOf("damaged")}`, "{}");
  const { code, stdout } = await run(["stats", "--bucket", bucket, "--format", "json"]);
  expect(code).toBe(0);
  expect(jsonOf(stdout)).toEqual([
    {
      at: expect.stringMatching(/^\d{4}-/),
      bucket,
      live: 3,
      users: 2,
      tombstones: 1,
      expired: 0,
      unreadable: 1,
      sessionBytes: 2 * '{"user":"ada"}'.length + '{"user":"bob"}'.length + 28,
      bucketBytes: expect.any(Number),
      plain: 2,
      exact: true,
      entries: 7,
      signInsPerMinute: 4,
      endsPerMinute: 1,
      expiriesPerMinute: 0,
      mergesPerMinute: 0,
      keys: { k1: 1 },
    },
  ]);
  const table = (await run(["stats", "--bucket", bucket])).stdout;
  expect(table).toMatch(/live +3\n {2}plain +2\n {2}k1 +1\nusers +2\n/);
  const [header, row] = linesOf((await run(["stats", "--bucket", bucket, "--format", "csv"])).stdout);
  expect(header).toMatch(/^at,bucket,live,users,tombstones,/);
  expect(row).toMatch(new RegExp(`Z,${bucket},3,2,1,`));
});

it("stats does not take a rotation for an end or a sign-in", async () => {
  const { bucket, store, signIn } = await startApplication();
  const watch = start(["stats", "--watch", "--interval", "100ms", "--bucket", bucket, "--format", "json"]);
  await watch.printed('"signInsPerMinute":0');
  await signIn("old");
  const record = await store.load("old");
  if (!record) throw new Error("The session is not there");
  await store.rotate("old", "new", { a: 1 }, { record });
  await store.destroy("new");
  await watch.printed('"signInsPerMinute":1,"endsPerMinute":1');
  watch.child.kill("SIGINT");
  const { code, stdout } = await watch.ended;
  expect(code).toBe(0);
  expect(jsonOf(stdout).at(-1)).toMatchObject({ signInsPerMinute: 1, endsPerMinute: 1 });
  const [once] = jsonOf((await run(["stats", "--bucket", bucket, "--format", "json"])).stdout);
  expect(once).toMatchObject({ live: 0, tombstones: 2, signInsPerMinute: 1, endsPerMinute: 1 });
});

it("stats --watch counts merges and expiries as they happen", async () => {
  const { bucket, store, signIn } = await startApplication();
  const watch = start(["stats", "--watch", "--interval", "100ms", "--bucket", bucket, "--format", "csv"]);
  await watch.printed(/,0,0,0,0\n/);
  await signIn("short", {}, 1000);
  await signIn("an id", { a: 1 });
  const [record, same] = [await store.load("an id"), await store.load("an id")];
  if (!record || !same) throw new Error("The session is not there");
  await store.save("an id", { a: 2 }, { record });
  await store.save("an id", { a: 1, b: 3 }, { record: same });
  await watch.printed(/,2,0,1,1\n/);
  watch.child.kill("SIGINT");
  expect((await watch.ended).code).toBe(0);
});

it("stats --watch draws a chart over the one before on a terminal, until Ctrl-C", async () => {
  const { bucket, signIn } = await startApplication();
  const watch = startInTerminal(["stats", "--watch", "--interval", "50ms", "--bucket", bucket]);
  await watch.printed("Ctrl-C ends it");
  await signIn("an id");
  await watch.printed(/sign-ins {2}.*▁█/);
  const up = "\u001b[19A\u001b[J";
  await until("the chart to be drawn over", () => watch.stdout.includes(up));
  watch.type("\u0003");
  const { code, stdout } = await watch.ended;
  expect(code).toBe(0);
  expect(plain(stdout)).toContain(`${bucket}, counted at `);
});

it("stats estimates in constant time what many entries hold, and --exact reads them all", async () => {
  const { bucket, nc } = await startApplication();
  const value = '{"user":"ada"}';
  const entry = (n: number, user: string) => {
    const now = Date.now();
    const headers = encodeSession({
      createdAt: now - 600_000,
      expiresAt: now + 600_000,
      write: n % 2 === 0 ? "create" : "update",
      membership: { userHash: handleOf(user), place: 1, indexedUntil: now + 600_000 },
    });
    return putEntry(nc, bucket, `s.${handleOf(`${n}`)}`, value, Object.fromEntries(headers));
  };
  for (let n = 0; n < 6000; n += 200) {
    await Promise.all(Array.from({ length: 200 }, (_, i) => entry(n + i, "ada")));
  }
  const stats = async (...more: string[]) => {
    const { code, stdout } = await run(["stats", "--bucket", bucket, "--format", "json", ...more]);
    expect(code).toBe(0);
    return jsonOf(stdout)[0];
  };
  const size = 6000 * value.length;
  // All are alike, so the estimate is the truth.
  const about = { exact: false, entries: 6000, live: 6000, tombstones: 0, sessionBytes: size, plain: 6000 };
  expect(await stats()).toMatchObject({ ...about, signInsPerMinute: 0 });
  expect(await stats("--exact")).toMatchObject({ ...about, exact: true, users: 1 });
  expect((await run(["stats", "--bucket", bucket])).stdout).toContain(`${bucket}, estimated at `);
});

it("stats counts the tombstones of one prefix, not those of another application in the bucket", async () => {
  const shop = await startApplication({ prefix: "shop" });
  const blog = await startApplication({ bucket: shop.bucket, prefix: "blog" });
  for (const id of ["a", "b", "c"]) {
    await shop.signIn(id);
    await shop.store.destroy(id);
  }
  await blog.signIn("a");
  const args = ["stats", "--bucket", shop.bucket, "--format", "json", "--prefix"];
  expect(jsonOf((await run([...args, "shop"])).stdout)[0]).toMatchObject({ live: 0, tombstones: 3 });
  expect(jsonOf((await run([...args, "blog"])).stdout)[0]).toMatchObject({ live: 1, tombstones: 0 });
});
