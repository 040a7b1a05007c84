// Calls each method of the Express store with a callback that throws, first on an open store, then on a closed
// one. Prints what became of it as JSON. Arguments: server URL, bucket.
import { setTimeout as sleep } from "node:timers/promises";
import { connect } from "@nats-io/transport-node";
import { NatsStore } from "connect-nats";

const [servers, bucket] = process.argv.slice(2);
const report = { calls: {}, uncaught: [], unhandled: [] };
process.on("uncaughtException", (error) => report.uncaught.push(error.message));
process.on("unhandledRejection", (error) => report.unhandled.push(String(error)));

const nc = await connect({ servers });
const store = await NatsStore.open(nc, { bucket, timeout: 20_000 });
const session = { cookie: { originalMaxAge: 60_000 }, user: "ada" };
await store.set("ada", session);

const throwing = (name) => (error) => {
  report.calls[name] = (report.calls[name] ?? 0) + 1;
  throw new Error(`${name}: ${error?.code ?? "done"}`);
};

/** Each method with a callback; each is waited for, so that the order is certain. */
async function callAll(state) {
  const calls = {
    get: (callback) => store.get("ada", callback),
    set: (callback) => store.set("ada", session, callback),
    touch: (callback) => store.touch("ada", session, callback),
    all: (callback) => store.all(callback),
    length: (callback) => store.length(callback),
    destroy: (callback) => store.destroy("ada", callback),
    clear: (callback) => store.clear(callback),
  };
  for (const [name, call] of Object.entries(calls)) {
    const before = report.uncaught.length;
    call(throwing(`${name} on ${state} store`));
    while (report.uncaught.length + report.unhandled.length === before) await sleep(1);
  }
}

await callAll("an open");
await store.close();
await callAll("a closed");
// A second call, if there were one, would come from the promise chain: well before this.
await sleep(50);
await nc.close();
console.log(JSON.stringify(report));
