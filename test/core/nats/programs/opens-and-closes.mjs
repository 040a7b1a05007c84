// What opening and closing stores leaves behind on one connection. Arguments: URL of the server, generation of the
// client (2 or 3). Prints the growth of the heap for each store, and of the client's subscriptions and listeners.
import { connect as connectV3 } from "@nats-io/transport-node";
import { connect as connectV2 } from "nats";
import { SessionStore } from "nats-session-store";

const SETS = 6;
const STORES = 250;

const [servers, client] = process.argv.slice(2);
const nc = await (client === "2" ? connectV2 : connectV3)({ servers });
const bucket = `opens-${process.pid}`;

async function openAndClose(n) {
  const store = new SessionStore(nc, {
    bucket,
    timeout: 30_000,
    cache: n % 4 === 0,
    user: (data) => data.user,
  });
  const { record } = await store.save("id", { user: "ada" });
  await store.load("id");
  if (n % 4 === 0) {
    store.onEnded(record.handle, () => {});
    await store.changes().ready;
  }
  await store.close();
  const failing = new SessionStore(nc, { bucket: "missing", createBucket: false });
  await failing.ready().catch(() => {});
  await failing.close();
}

async function run(count) {
  for (let n = 0; n < count; n++) await openAndClose(n);
  for (let n = 0; n < 5; n++) {
    await new Promise((resolve) => setTimeout(resolve, 20));
    globalThis.gc();
  }
  return process.memoryUsage().heapUsed;
}

const { listeners, subscriptions } = nc.protocol;
let before = await run(STORES / 2);
const start = { listeners: listeners.length, subscriptions: subscriptions.subs.size };
const growth = [];
for (let set = 0; set < SETS; set++) {
  const after = await run(STORES);
  growth.push(Math.round((after - before) / STORES));
  before = after;
}
const end = { listeners: listeners.length, subscriptions: subscriptions.subs.size };
await nc.close();
console.log(JSON.stringify({ growth, start, end }));
