// What the applications of this folder have in common: one process with a NATS connection and a store of its own,
// driven by a test. It tells its parent where it listens, when a request has come to a place where it waits, and
// what its store tells; the parent says which request may go on. It ends with its parent.
import { once } from "node:events";
import { createServer } from "node:http";
import { connect } from "@nats-io/transport-node";

/** @param start the framework's part: opens the store, gives it and a listener that runs `act` for each request */
export async function serve(start) {
  const [servers, bucket] = process.argv.slice(2);
  const nc = await connect({ servers });
  const { store, listener } = await start(nc, { bucket, touchAfter: 0, timeout: 30_000, resolve: addCounts });
  store.on("gone", (gone) => process.send({ gone }));

  // A connection that is closed for being idle could take a request with it that is just being sent.
  const server = createServer({ keepAliveTimeout: 0 }, listener).listen(0, "127.0.0.1");
  await once(server, "listening");
  process.once("disconnect", async () => {
    server.closeAllConnections();
    server.close();
    await store.close();
    await nc.close();
  });
  process.send({ url: `http://127.0.0.1:${server.address().port}` });
}

/** Does with the session what the request asks for, and gives the session as it was loaded. */
export async function act(url, { session, signOut }) {
  const task = JSON.parse(new URL(url, "http://app").searchParams.get("task"));
  const loaded = JSON.parse(JSON.stringify(session));
  if (task.wait) await goAhead(task.wait);
  for (const [key, value] of Object.entries(task.set ?? {})) session[key] = value;
  for (const key of task.remove ?? []) delete session[key];
  if (task.count) session.count += task.count;
  if (task.signOut) await signOut();
  return loaded;
}

async function goAhead(name) {
  const allowed = new Promise((resolve) => {
    process.on("message", function hear(message) {
      if (message.go !== name) return;
      process.off("message", hear);
      resolve();
    });
  });
  process.send({ waits: name });
  await allowed;
}

function addCounts(key, { base, ours, theirs }) {
  return key === "count" ? ours + theirs - base : ours;
}
