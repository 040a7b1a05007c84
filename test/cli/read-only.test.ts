import { connect } from "@nats-io/transport-node";
import { startNatsServer } from "nats-dev-server";
import { SessionStore } from "nats-session-store";
import { expect, it, onTestFinished } from "vitest";
import { jsonOf, run, start } from "./support/program.js";

it("an account that may only read can list, show, count and watch, and end nothing", async () => {
  const server = await startNatsServer({
    timeout: 60_000,
    config: `authorization { users: [
      { user: app, password: a }
      { user: reader, password: b, permissions: {
        publish: [
          "$JS.API.STREAM.INFO.KV_sessions", "$JS.API.STREAM.MSG.GET.KV_sessions"
          "$JS.API.DIRECT.GET.KV_sessions", "$JS.API.DIRECT.GET.KV_sessions.>"
        ]
        subscribe: ["_INBOX.>", "session-changes.sessions.>"]
      } }
    ] }`,
  });
  onTestFinished(() => server.stop());
  const nc = await connect({ servers: server.url, user: "app", pass: "a" });
  const store = await SessionStore.open(nc, { user: () => "ada" });
  onTestFinished(async () => {
    await store.close();
    await nc.close();
  });
  await store.save("an id", {});
  const handle = store.handleOf("an id");
  const reader = { env: { NATS_URL: server.url, NATS_USER: "reader", NATS_PASSWORD: "b" } };

  const watch = start(["watch", "--format", "ids", "--limit", "1"], reader);
  await watch.printed("Ctrl-C ends it");
  expect((await run(["list", "--user", "ada", "--format", "ids"], reader)).stdout).toBe(`${handle}\n`);
  expect((await run(["show", handle], reader)).code).toBe(0);
  expect(jsonOf((await run(["stats", "--format", "json"], reader)).stdout)).toMatchObject([
    { live: 1, users: 1 },
  ]);
  const { code, stderr } = await run(["end", handle, "--yes"], reader);
  expect([code, stderr]).toEqual([1, expect.stringContaining("ERR_SESSION_PERMISSION")]);
  expect(await store.load("an id")).not.toBeNull();
  await store.destroy("an id");
  expect((await watch.ended).stdout).toBe(`${handle}\n`);
});
