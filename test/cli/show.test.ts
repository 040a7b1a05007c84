import { expect, it } from "vitest";
import { jsonOf, run } from "./support/program.js";
import { startApplication } from "./support/sessions.js";

it("show prints what is known of a session, and of its data only the names of the keys", async () => {
  const { bucket, store, signIn } = await startApplication();
  const handle = await signIn("an id", { user: "ada", card: "4111 1111" });
  const { code, stdout } = await run(["show", handle, "--bucket", bucket]);
  expect(code).toBe(0);
  expect(stdout).toMatch(new RegExp(`handle +${handle}`));
  expect(stdout).toMatch(/state +live/);
  expect(stdout).toMatch(new RegExp(`user \\(hashed\\) +${store.hashUser("ada")}`));
  expect(stdout).toMatch(/last write .*, create/);
  expect(stdout).toMatch(/data +user, card/);
  expect(stdout).not.toContain("4111");
});

it("show --data prints the session's data", async () => {
  const { bucket, signIn } = await startApplication();
  const handle = await signIn("an id", { card: "4111 1111", deep: { list: [1, 2] } });
  const args = ["show", handle, "--data", "--bucket", bucket];
  expect((await run(args)).stdout).toContain('"card": "4111 1111"');
  const [object] = jsonOf((await run([...args, "--format", "json"])).stdout);
  expect(object).toMatchObject({
    handle,
    state: "live",
    data: { card: "4111 1111", deep: { list: [1, 2] } },
  });
});

it("show opens an encrypted session with its key, and says which one is missing without it", async () => {
  const key = Buffer.alloc(32, 1);
  const { bucket, signIn } = await startApplication({ encryption: { keys: [{ id: "k1", key }] } });
  const handle = await signIn("an id", { card: "4111" });
  const args = ["show", handle, "--bucket", bucket, "--format", "json"];
  const [without] = jsonOf((await run(args)).stdout);
  expect(without).toMatchObject({ keyId: "k1", dataKeys: null, problem: "ERR_SESSION_KEY_UNKNOWN" });
  const failed = await run([...args, "--data"]);
  expect(failed.code).toBe(1);
  expect(failed.stderr).toContain("ERR_SESSION_KEY_UNKNOWN");
  const given = ["--encryption-key", `k1=${key.toString("base64")}`];
  expect(jsonOf((await run([...args, ...given])).stdout)).toMatchObject([
    { dataKeys: ["card"], problem: null },
  ]);
});

it("show tells of a session that was ended, and of one that was given another id", async () => {
  const { bucket, store, signIn } = await startApplication();
  const ended = await signIn("ended");
  await store.destroy("ended");
  await signIn("old");
  const record = await store.load("old");
  if (!record) throw new Error("The session is not there");
  await store.rotate("old", "new", {}, { record });
  const shown = async (handle: string) =>
    jsonOf((await run(["show", handle, "--bucket", bucket, "--format", "json"])).stdout)[0];
  expect(await shown(ended)).toMatchObject({ state: "ended", endedBy: "destroyed", movedTo: null });
  expect(await shown(store.handleOf("old"))).toMatchObject({
    state: "ended",
    movedTo: store.handleOf("new"),
  });
});

it("show ends with 1 where there is no such session", async () => {
  const { bucket, store } = await startApplication();
  const result = await run(["show", store.handleOf("nothing"), "--bucket", bucket]);
  expect(result).toEqual({
    code: 1,
    stdout: "",
    stderr: "nats-sessions: There is no such session, and no trace of one\n",
  });
});

it("show takes a handle that begins with a dash", async () => {
  const { bucket, store, signIn } = await startApplication();
  let n = 0;
  while (!store.handleOf(`id-${n}`).startsWith("-")) n++;
  const handle = await signIn(`id-${n}`);
  const { code, stdout } = await run(["show", handle, "--bucket", bucket]);
  expect(stdout).toContain(handle);
  expect(code).toBe(0);
});

it("show prints control characters in the names of keys as escapes", async () => {
  const { bucket, signIn } = await startApplication();
  const handle = await signIn("an id", { "\u001b[2J": 1, "\u009b31m": 2 });
  const { stdout } = await run(["show", handle, "--data", "--bucket", bucket]);
  expect(stdout).toContain("\\u001b[2J, \\u009b31m");
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what must not be there
  expect(stdout).not.toMatch(/[\u001b\u009b]/);
});
