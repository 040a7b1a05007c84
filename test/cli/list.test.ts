import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { putEntry } from "../support/put-entry.js";
import { until } from "../support/wait.js";
import { jsonOf, linesOf, run, start } from "./support/program.js";
import { startApplication } from "./support/sessions.js";

it("list prints every live session once, and none that ended", async () => {
  const { bucket, store, signIn } = await startApplication();
  const handles = await Promise.all(Array.from({ length: 150 }, (_, n) => signIn(`id-${n}`)));
  await store.destroy("id-7");
  const { code, stdout } = await run(["list", "--bucket", bucket, "--format", "ids"]);
  expect(linesOf(stdout).sort()).toEqual(
    handles.filter((handle) => handle !== store.handleOf("id-7")).sort(),
  );
  expect(code).toBe(0);
});

it("list prints one JSON object a line, with times in ISO 8601", async () => {
  const { bucket, store, signIn } = await startApplication();
  const handle = await signIn("an id", { user: "ada", theme: "dark" });
  const record = await store.load("an id");
  const { stdout } = await run(["list", "--bucket", bucket, "--format", "json"]);
  expect(jsonOf(stdout)).toEqual([
    {
      handle,
      user: null,
      userHash: store.hashUser("ada"),
      createdAt: new Date(record?.createdAt ?? 0).toISOString(),
      lastWriteAt: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
      expiresAt: new Date(record?.expiresAt ?? 0).toISOString(),
      bytes: JSON.stringify({ user: "ada", theme: "dark" }).length,
      keyId: null,
      revision: record?.revision,
    },
  ]);
});

it("list prints CSV with a header, also where there is no session", async () => {
  const { bucket, signIn } = await startApplication();
  const header = "handle,user,userHash,createdAt,lastWriteAt,expiresAt,bytes,keyId,revision";
  expect((await run(["list", "--bucket", bucket, "--format", "csv"])).stdout).toBe(`${header}\n`);
  const handle = await signIn("an id");
  const { stdout } = await run(["list", "--bucket", bucket, "--format", "csv"]);
  expect(linesOf(stdout)).toEqual([header, expect.stringMatching(new RegExp(`^${handle},,,.*,2,,1$`))]);
});

it("list quotes a user's name in CSV as RFC 4180 has it", async () => {
  const { bucket, signIn } = await startApplication();
  const handle = await signIn("an id", { user: 'Ada "the first", Countess' });
  const args = ["list", "--bucket", bucket, "--user", 'Ada "the first", Countess', "--format", "csv"];
  expect((await run(args)).stdout).toContain(`${handle},"Ada ""the first"", Countess",`);
});

it("list prints a table with the key of each session, and says on stderr that there is none", async () => {
  const { bucket, signIn } = await startApplication();
  const empty = await run(["list", "--bucket", bucket]);
  expect(empty).toEqual({ code: 0, stdout: "", stderr: "No sessions.\n" });
  const handle = await signIn("an id");
  const { stdout } = await run(["list", "--bucket", bucket]);
  const [header, line] = linesOf(stdout);
  expect(header).toMatch(/^HANDLE +CREATED +LAST WRITE +EXPIRES IN +SIZE +KEY$/);
  expect(line).toMatch(new RegExp(`^${handle}  \\d{4}-.*Z  \\d{4}-.*Z +2[34]h.* +2 B  plain$`));
});

it("list counts sessions", async () => {
  const { bucket, signIn } = await startApplication();
  await Promise.all(["a", "b", "c"].map((id) => signIn(id)));
  expect((await run(["list", "--bucket", bucket, "--format", "count"])).stdout).toBe("3\n");
});

it("list --user prints the sessions of that user alone, in the order of sign-in", async () => {
  const { bucket, signIn } = await startApplication();
  const first = await signIn("first", { user: "ada" });
  await signIn("other", { user: "bob" });
  const second = await signIn("second", { user: "ada" });
  const { stdout } = await run(["list", "--bucket", bucket, "--user", "ada", "--format", "json"]);
  expect(jsonOf(stdout).map(({ handle, user }) => [handle, user])).toEqual([
    [first, "ada"],
    [second, "ada"],
  ]);
});

it("list --user finds a user whose name is hashed with a secret, old or new", async () => {
  const bucket = `test-${Math.random().toString(36).slice(2)}`;
  const [old, current] = ["old", "new"].map((text) => Buffer.alloc(32, text).toString("base64"));
  const before = await startApplication({ bucket, encryption: { userKeys: [old as string] } });
  const first = await before.signIn("first", { user: "ada" });
  const after = await startApplication({
    bucket,
    encryption: { userKeys: [current as string, old as string] },
  });
  const second = await after.signIn("second", { user: "ada" });
  const list = ["list", "--bucket", bucket, "--user", "ada", "--format", "ids"];
  expect((await run(list)).stdout).toBe("");
  const keys = { NATS_SESSIONS_USER_KEYS: `${current},${old}` };
  expect(linesOf((await run(list, { env: keys })).stdout).sort()).toEqual([first, second].sort());
});

it("list --idle leaves out sessions that were written a moment ago", async () => {
  const { bucket, signIn } = await startApplication();
  const handle = await signIn("an id");
  const list = async (idle: string) =>
    (await run(["list", "--bucket", bucket, "--idle", idle, "--format", "ids"])).stdout;
  expect(await list("2h")).toBe("");
  await until("the session to be idle for 50 ms", async () => (await list("50ms")) === `${handle}\n`);
});

it("list --limit ends after so many sessions", async () => {
  const { bucket, signIn } = await startApplication();
  await Promise.all(Array.from({ length: 80 }, (_, n) => signIn(`id-${n}`)));
  const { stdout } = await run(["list", "--bucket", bucket, "--limit", "70", "--format", "ids"]);
  expect(new Set(linesOf(stdout)).size).toBe(70);
});

it("list --prefix prints the sessions of one application alone", async () => {
  const first = await startApplication({ prefix: "shop" });
  const second = await startApplication({ bucket: first.bucket, prefix: "blog" });
  const handle = await first.signIn("an id");
  await second.signIn("another");
  const { stdout } = await run(["list", "--bucket", first.bucket, "--prefix", "shop", "--format", "ids"]);
  expect(stdout).toBe(`${handle}\n`);
});

it("list needs no key to print encrypted sessions and the id of their key", async () => {
  const key = { id: "2027-01", key: Buffer.alloc(32, 1) };
  const { bucket, signIn } = await startApplication({ encryption: { keys: [key] } });
  await signIn("an id", { user: "ada" });
  const { stdout } = await run(["list", "--bucket", bucket, "--user", "ada", "--format", "json"]);
  expect(jsonOf(stdout)).toMatchObject([{ keyId: "2027-01" }]);
});

it("list prints control characters that someone wrote into the bucket as escapes", async () => {
  const { bucket, nc, store } = await startApplication();
  const handle = store.handleOf("forged");
  await putEntry(nc, bucket, `s.${handle}`, "{}", {
    "Session-Format": "1",
    "Session-Created": String(Date.now()),
    "Session-Expires": String(Date.now() + 60_000),
    "Session-Write": "create",
    "Session-Key": "\u001b]0;title\u0007",
  });
  for (const format of ["table", "json", "csv"]) {
    const { stdout } = await run(["list", "--bucket", bucket, "--format", format]);
    expect(stdout).toContain("\\u001b]0;title\\u0007");
    expect(stdout).not.toContain("\u001b");
  }
});

it("list holds only a part of a large bucket in memory", async () => {
  const [count, size] = [2000, 100_000];
  const { bucket, store } = await startApplication({ user: undefined });
  const large = "x".repeat(size);
  for (let n = 0; n < count; n += 100) {
    await Promise.all(Array.from({ length: 100 }, (_, k) => store.save(`id-${n + k}`, { large })));
  }
  const list = start(["list", "--bucket", bucket, "--format", "json"]);
  let peak = 0;
  list.child.stdout?.on("data", () => {
    peak = Math.max(peak, peakMemory(list.child.pid as number));
  });
  const { code, stdout } = await list.ended;
  expect(code).toBe(0);
  expect(new Set(jsonOf(stdout).map(({ handle }) => handle)).size).toBe(count);
  expect(peak).toBeGreaterThan(20_000_000);
  expect(peak).toBeLessThan(count * size);
});

/** The most memory that a process had at a time, in bytes; 0 for one that is gone. */
function peakMemory(pid: number): number {
  try {
    const [, kilobytes] = /VmHWM:\s*(\d+) kB/.exec(readFileSync(`/proc/${pid}/status`, "utf8")) ?? [];
    return Number(kilobytes) * 1024;
  } catch {
    return 0;
  }
}
