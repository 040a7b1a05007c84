import { expect, it } from "vitest";
import { jsonOf, run } from "./support/program.js";
import { startApplication } from "./support/sessions.js";

it("end writes the tombstone that a sign-out writes, which a running request cannot overcome", async () => {
  const { bucket, store, signIn } = await startApplication();
  const handle = await signIn("an id", { user: "ada" });
  const record = await store.load("an id");
  if (!record) throw new Error("The session is not there");
  expect(await run(["end", handle, "--yes", "--bucket", bucket])).toEqual({
    code: 0,
    stdout: "Ended 1 session.\n",
    stderr: "",
  });
  expect((await store.save("an id", { user: "ada" }, { record })).outcome).toBe("gone");
  expect(await store.load("an id")).toBeNull();
  const again = await run(["end", handle, "--yes", "--bucket", bucket]);
  expect(again).toMatchObject({
    code: 1,
    stderr: "nats-sessions: There is no live session with this handle\n",
  });
});

it("end --user ends the sessions of that user but for one", async () => {
  const { bucket, store, signIn } = await startApplication();
  const kept = await signIn("kept", { user: "ada" });
  for (const id of ["a", "b", "c"]) await signIn(id, { user: "ada" });
  await signIn("other", { user: "bob" });
  const args = ["end", "--user", "ada", "--except", kept, "--yes", "--bucket", bucket, "--format", "json"];
  expect(jsonOf((await run(args)).stdout)).toEqual([{ ended: 3, found: 3, dryRun: false }]);
  expect(
    await Promise.all(["kept", "a", "b", "c", "other"].map(async (id) => (await store.load(id)) !== null)),
  ).toEqual([true, false, false, false, true]);
});

it("end --all ends every session, under its prefix alone", async () => {
  const first = await startApplication({ prefix: "shop" });
  const second = await startApplication({ bucket: first.bucket, prefix: "blog" });
  await Promise.all(Array.from({ length: 150 }, (_, n) => first.signIn(`id-${n}`)));
  await second.signIn("another");
  const args = ["end", "--all", "--yes", "--bucket", first.bucket, "--prefix", "shop", "--format", "count"];
  expect((await run(args)).stdout).toBe("150\n");
  expect(await first.store.count({ exact: true })).toBe(0);
  expect(await second.store.count({ exact: true })).toBe(1);
});

it("end --dry-run says what it would end, and ends nothing", async () => {
  const { bucket, store, signIn } = await startApplication();
  const handle = await signIn("a", { user: "ada" });
  await signIn("b", { user: "ada" });
  for (const [target, text] of [
    [[handle], "Would end 1 session.\n"],
    [["--user", "ada"], "Would end 2 sessions.\n"],
    [["--all"], "Would end 2 sessions.\n"],
  ] as const) {
    const { code, stdout } = await run(["end", ...target, "--dry-run", "--bucket", bucket]);
    expect([code, stdout]).toEqual([0, text]);
  }
  expect(await store.count({ exact: true })).toBe(2);
});

it("end without a terminal and without --yes ends nothing", async () => {
  const { bucket, store, signIn } = await startApplication();
  await signIn("an id");
  const result = await run(["end", "--all", "--bucket", bucket], { input: "y\n" });
  expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining("Expected --yes or --dry-run") });
  expect(await store.count({ exact: true })).toBe(1);
});

it("end refuses anything but one target, and never prints a session id that was pasted by mistake", async () => {
  const { store } = await startApplication();
  const handle = store.handleOf("an id");
  for (const args of [
    [],
    [handle, handle],
    [handle, "--all"],
    ["--user", "ada", "--all"],
    ["--except", handle],
  ]) {
    const { code, stderr } = await run(["end", ...args, "--yes"]);
    expect([args, code]).toEqual([args, 2]);
    expect(stderr.trim().split("\n")).toHaveLength(1);
  }
  const { code, stderr } = await run(["end", "s:a-session-id.signature", "--yes"]);
  expect(code).toBe(2);
  expect(stderr).toContain("Expected a handle");
  expect(stderr).not.toContain("a-session-id");
});
