// Every operation of a store while a test runner's fake timers have taken over what they can.
// Arguments: URL of the server, generation of the client (2 or 3), names of what is taken over (nothing = all).
import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { connect as connectV3 } from "@nats-io/transport-node";
import { connect as connectV2 } from "nats";
import { SessionStore } from "nats-session-store";

const fakeTimers = createRequire(import.meta.url)("@sinonjs/fake-timers");
const [servers, client, names] = process.argv.slice(2);
const nc = await (client === "2" ? connectV2 : connectV3)({ servers });
const timeout = 30_000;
const bucket = `timers-${process.pid}`;
const realTime = performance.now.bind(performance);

const clock = fakeTimers.install(names ? { toFake: names.split(",") } : {});

const user = (data) => data.user;
const store = new SessionStore(nc, { bucket, timeout, user, touchAfter: 0, maxSessionsPerUser: 2 });
const { record } = await store.save("id", { user: "ada" });
await store.save("id", { user: "ada", a: 1 }, { record: await store.load("id") });
// A conflict waits for its turn, and pauses.
assert.equal((await store.save("id", { user: "ada", b: 1 }, { record })).outcome, "merged");
await store.update("id", (data) => {
  data.c = 1;
});
const held = await store.load("id");
assert.deepEqual(held.data, { user: "ada", a: 1, b: 1, c: 1 });
const rotated = await store.rotate("id", "new", held.data, { record: held });
assert.equal(rotated.outcome, "saved");
assert.equal((await store.touch("new", rotated.record, { ttl: 200_000_000 })).outcome, "touched");
await Promise.all(["x", "y", "z"].map((id) => store.save(id, { user: "ada" })));
let listed = 0;
for await (const _session of store.listByUser("ada")) listed++;
assert.equal(listed, 2);
assert.equal(await store.count({ exact: true }), 2);
assert.equal(await store.destroyByUser("ada"), 2);
assert.equal(await store.load("new"), null);
await store.clear();

// The near cache, and the feed behind it.
const cached = await SessionStore.open(nc, { bucket, timeout, cache: true });
await cached.save("id2", { n: 1 });
const changes = cached.changes();
await changes.ready;
const ended = new Promise((resolve) => cached.onEnded(cached.handleOf("id2"), resolve));
// The first load asks for the proof that the next ones need.
while (cached.cacheStats().hits === 0) await cached.load("id2");
await store.destroy("id2");
assert.deepEqual(await ended, { reason: "destroyed" });
assert.equal((await changes.next()).value.type, "destroyed");
assert.equal(await cached.load("id2"), null);
await changes.return();

// Without an answer an operation ends after its timeout of real time.
const start = realTime();
const silent = new SessionStore(new Promise(() => {}), { timeout: 200 });
await assert.rejects(silent.load("id"), { code: "ERR_SESSION_UNAVAILABLE" });
assert.ok(realTime() - start > 150);

clock.uninstall();
await store.save("id3", { n: 1 });
assert.deepEqual((await store.load("id3")).data, { n: 1 });
assert.deepEqual((await cached.load("id3")).data, { n: 1 });
await Promise.all([store.close(), cached.close(), silent.close()]);
await nc.close();
console.log("done");
