import { startNatsServer } from "nats-dev-server";
import { expect, it } from "vitest";
import { touchSession } from "../../../packages/core/src/operations/touch.js";
import { SessionStore } from "../../../packages/core/src/store.js";
import { now } from "../../../packages/core/src/util/timers.js";
import { connectTo } from "../../adapters/support/servers.js";

const PATIENCE = 30_000;

const codeOf = (task: Promise<unknown>) =>
  task.then(
    () => "done",
    (error) => error.code as string,
  );

it("a load or a touch that has little time left ends in time beside one that has more, and does not end that one", async ({
  onTestFinished: defer,
}) => {
  const server = await startNatsServer();
  defer(() => server.stop());
  const store = await SessionStore.open(await connectTo(server, defer), { timeout: PATIENCE, touchAfter: 0 });
  const { context } = SessionStore.partsOf(store);
  const records = await Promise.all(["a", "b", "c"].map(async (id) => (await store.save(id, {})).record));
  const [a, b, c] = records.map((record) => record as NonNullable<typeof record>);
  if (!a || !b || !c) throw new Error("not saved");
  await server.pause();
  const touch = (deadline: number) => touchSession(context, c.handle, c, { ttl: 90_000_000 }, deadline);
  const later = [context.sessions.read(a.handle, now() + PATIENCE), touch(now() + PATIENCE)];
  const soon = [context.sessions.read(a.handle, now() + 300), touch(now() + 300)];
  const first = context.sessions.read(b.handle, now() + 300);
  const beside = context.sessions.read(b.handle, now() + PATIENCE);
  const unavailable = "ERR_SESSION_UNAVAILABLE";
  const codes = await Promise.all([...soon, first].map(codeOf));
  expect(codes).toEqual([unavailable, unavailable, unavailable]);
  await server.resume();
  expect(await Promise.all([...later, beside].map(codeOf))).toEqual(["done", "done", "done"]);
  await store.close();
});
