import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { expect, it } from "vitest";
import { plain, run, start, startInTerminal } from "./support/program.js";
import { startApplication } from "./support/sessions.js";

const CODES = "\u001b[";

it("end asks on a terminal and ends nothing unless the answer is yes", async () => {
  const { bucket, store, signIn } = await startApplication();
  await signIn("an id", { user: "ada" });
  const refused = startInTerminal(["end", "--user", "ada", "--bucket", bucket]);
  await refused.printed(`End 1 session of "ada" in the bucket "${bucket}"? [y/N] `);
  refused.type("n\n");
  const no = await refused.ended;
  expect(no.code).toBe(1);
  expect(no.stdout).toContain("Nothing was ended.");
  expect(await store.count({ exact: true })).toBe(1);

  const agreed = startInTerminal(["end", "--user", "ada", "--bucket", bucket]);
  await agreed.printed("[y/N]");
  agreed.type("y\n");
  const yes = await agreed.ended;
  expect(yes.code).toBe(0);
  expect(yes.stdout).toContain("Ended 1 session.");
  expect(await store.count({ exact: true })).toBe(0);
});

it("Ctrl-C at a question ends the program with 130 and changes nothing", async () => {
  const { bucket, store, signIn } = await startApplication();
  await signIn("an id");
  const program = startInTerminal(["end", "--all", "--bucket", bucket]);
  await program.printed("[y/N]");
  program.type("\u0003");
  expect((await program.ended).code).toBe(130);
  expect(await store.count({ exact: true })).toBe(1);
});

it("results are coloured on a terminal, and not with NO_COLOR, --no-color, or in a pipe", async () => {
  const { bucket, signIn } = await startApplication();
  const handle = await signIn("an id");
  const show = ["show", handle, "--bucket", bucket];
  const colored = await startInTerminal(show).ended;
  expect(colored.stdout).toContain(CODES);
  const outputs = await Promise.all([
    startInTerminal(show, { env: { NO_COLOR: "1" } }).ended,
    startInTerminal([...show, "--no-color"]).ended,
    startInTerminal(show, { env: { TERM: "dumb" } }).ended,
    run(show),
  ]);
  for (const { stdout } of outputs) {
    expect(stdout).not.toContain(CODES);
    expect(stdout).toContain(handle);
  }
});

it("an empty NO_COLOR leaves the colours on", async () => {
  const { bucket, signIn } = await startApplication();
  const handle = await signIn("an id");
  const { stdout } = await startInTerminal(["show", handle, "--bucket", bucket], { env: { NO_COLOR: "" } })
    .ended;
  expect(stdout).toContain(CODES);
});

it("a long list shows its progress on a terminal and removes it, and shows none in a pipe", async () => {
  const { bucket, signIn } = await startApplication();
  for (let n = 0; n < 5; n++)
    await Promise.all(Array.from({ length: 400 }, (_, k) => signIn(`id-${n * 400 + k}`)));
  const list = ["list", "--bucket", bucket, "--format", "count"];
  const { code, stdout } = await startInTerminal(list).ended;
  expect(code).toBe(0);
  expect(stdout).toMatch(/entries read, [\d,]+ sessions listed/);
  expect(stdout.endsWith("\r\u001b[2K2000\r\n")).toBe(true);
  expect(await run(list)).toEqual({ code: 0, stdout: "2000\n", stderr: "" });
});

it("Ctrl-C ends a command that waits for the server at once", async () => {
  const silent = createServer();
  const connected = once(silent, "connection");
  await once(silent.listen(0, "127.0.0.1"), "listening");
  const { port } = silent.address() as AddressInfo;
  const program = startInTerminal(["list"], { env: { NATS_URL: `nats://127.0.0.1:${port}` } });
  // The process installs its handler before it connects.
  const [socket] = (await connected) as [Socket];
  program.type("\u0003");
  const { code } = await program.ended;
  socket.destroy();
  silent.close();
  expect(code).toBe(130);
});

it("a reader that has enough, such as head, ends the program quietly", async () => {
  const { bucket, signIn } = await startApplication();
  for (let n = 0; n < 5; n++)
    await Promise.all(Array.from({ length: 400 }, (_, k) => signIn(`id-${n * 400 + k}`)));
  const program = start(["list", "--bucket", bucket, "--format", "json"]);
  program.child.stdout?.once("data", () => program.child.stdout?.destroy());
  const { code, stderr } = await program.ended;
  expect([code, stderr]).toEqual([0, ""]);
});

it("the table on a terminal is the one in a pipe", async () => {
  const { bucket, signIn } = await startApplication();
  await signIn("an id");
  const csv = ["list", "--bucket", bucket, "--format", "csv"];
  const inTerminal = await startInTerminal(csv).ended;
  expect(plain(inTerminal.stdout)).toBe((await run(csv)).stdout);
});
