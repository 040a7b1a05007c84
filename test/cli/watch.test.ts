import { startNatsServer } from "nats-dev-server";
import { expect, it, onTestFinished } from "vitest";
import { untilTime } from "../support/wait.js";
import { jsonOf, linesOf, run, start } from "./support/program.js";
import { startApplication } from "./support/sessions.js";

const WATCHING = "Ctrl-C ends it";

it("watch prints each change as it happens", async () => {
  const { bucket, store, signIn } = await startApplication();
  const watch = start(["watch", "--bucket", bucket, "--format", "json", "--limit", "4"]);
  await watch.printed(WATCHING);
  const handle = await signIn("an id", { user: "ada", a: 1 });
  const [record, same] = [await store.load("an id"), await store.load("an id")];
  if (!record || !same) throw new Error("The session is not there");
  await store.save("an id", { user: "ada", a: 2 }, { record });
  await store.save("an id", { user: "ada", a: 1, b: 3 }, { record: same });
  await store.destroy("an id");
  const { code, stdout } = await watch.ended;
  expect(code).toBe(0);
  const userHash = store.hashUser("ada");
  const common = { handle, userHash, movedTo: null, at: expect.any(String), revision: expect.any(Number) };
  expect(jsonOf(stdout)).toEqual([
    { ...common, type: "created", isMerge: false },
    { ...common, type: "updated", isMerge: false },
    { ...common, type: "updated", isMerge: true },
    { ...common, type: "destroyed", isMerge: false },
  ]);
});

it("watch --user prints the changes of that user alone, expiries of sessions from before included", async () => {
  const { bucket, signIn, store } = await startApplication();
  const life = 3000;
  const handle = await signIn("before", { user: "ada" }, life);
  await signIn("other", { user: "bob" }, life);
  const { expiresAt = 0 } = (await store.load("before")) ?? {};
  const watch = start(["watch", "--bucket", bucket, "--user", "ada", "--format", "json"]);
  await watch.printed(WATCHING);
  const isInTime = Date.now() < expiresAt;
  const later = await signIn("later", { user: "ada" });
  await signIn("not theirs", { user: "bob" });
  await untilTime(expiresAt);
  await watch.printed(isInTime ? '"expired"' : later);
  watch.child.kill("SIGINT");
  const { code, stdout } = await watch.ended;
  expect(code).toBe(0);
  const changes = jsonOf(stdout).map((change) => [change.type, change.handle]);
  expect(changes).toContainEqual(["created", later]);
  if (isInTime) expect(changes).toContainEqual(["expired", handle]);
  expect(changes).toHaveLength(isInTime ? 2 : 1);
});

it("watch says when the connection is down, and what happened meanwhile when it is up again", async () => {
  const server = await startNatsServer({ timeout: 60_000 });
  onTestFinished(() => server.stop());
  const { bucket, signIn } = await startApplication({}, { servers: server.url });
  const watch = start(["watch", "--bucket", bucket, "--format", "json", "--server", server.url]);
  await watch.printed(WATCHING);
  const first = await signIn("first");
  await watch.printed(first);
  await server.restart();
  await watch.printed('"cut"');
  await watch.printed('"resumed"');
  const second = await signIn("second");
  await watch.printed(second);
  const types = jsonOf(watch.stdout).map(({ type }) => type);
  expect(types).toEqual(["created", "cut", "resumed", "created"]);
});

it("watch says that changes may be missing where the bucket was made again", async () => {
  const { bucket, nc, signIn } = await startApplication();
  const watch = start(["watch", "--bucket", bucket]);
  await watch.printed(WATCHING);
  await signIn("an id");
  await watch.printed("created");
  await nc.request(`$JS.API.STREAM.DELETE.KV_${bucket}`, undefined, { timeout: 30_000 });
  const again = await startApplication({ bucket });
  await again.signIn("another");
  await watch.printed("some changes may be missing here");
});

it("watch prints handles alone in the format ids, and refuses the format count", async () => {
  const { bucket, signIn } = await startApplication();
  const watch = start(["watch", "--bucket", bucket, "--format", "ids", "--limit", "1"]);
  await watch.printed(WATCHING);
  const handle = await signIn("an id");
  expect(linesOf((await watch.ended).stdout)).toEqual([handle]);
  expect((await run(["watch", "--format", "count"])).code).toBe(2);
});

it("watch ends with 1 where the bucket has no change feed", async () => {
  const { bucket } = await startApplication({ republish: false });
  const { code, stderr } = await run(["watch", "--bucket", bucket]);
  expect(code).toBe(1);
  expect(stderr).toBe(
    `nats-sessions: The bucket "${bucket}" has no change feed; nats-sessions upgrade adds it (ERR_SESSION_NO_FEED)\n`,
  );
});
