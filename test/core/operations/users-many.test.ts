import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { startNatsServer } from "nats-dev-server";
import { afterAll, describe, expect, it } from "vitest";
import { connectTo } from "../../adapters/support/servers.js";
import { putSessionsOf } from "../../support/many-sessions.js";
import { handlesOf, Stores, sessionsOf } from "../../support/stores.js";
import { newBucket, type Variant, variants } from "../../support/variants.js";
import { until, withinLife } from "../../support/wait.js";

const program = fileURLToPath(new URL("programs/sign-in.mjs", import.meta.url));
const MB = 2 ** 20;

setFlagsFromString("--expose-gc");
const collectGarbage = runInNewContext("gc") as () => void;

/** What the heap and the buffers outside of it take when everything unused is gone. */
function used(): number {
  collectGarbage();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

describe("a user with 10 000 sessions", () => {
  const [variant] = variants() as [Variant];
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it("has them listed and ended in batches that do not fill the memory", {
    timeout: 300_000,
  }, async () => {
    const bucket = newBucket();
    // Each batch has its own deadline.
    const store = await stores.open({ bucket, timeout: 10_000 });
    const handles = Array.from({ length: 10_000 }, (_, n) => store.handleOf(`session-${n}`));
    const data = { user: "ada", text: "x".repeat(4000) };
    await putSessionsOf(await stores.connect(), bucket, store.hashUser("ada"), handles, data);
    await store.save("bob's", { user: "bob" });
    const before = used();
    let [count, last] = [0, Number.POSITIVE_INFINITY];
    for await (const { createdAt } of store.listByUser("ada")) {
      expect(createdAt).toBeLessThanOrEqual(last);
      last = createdAt;
      // Their data alone are 40 MB. Buffers that nobody uses are given back some time after they were collected.
      if (++count % 1500 === 0) await until("little to be in use", () => used() - before < 25 * MB);
    }
    expect(count).toBe(10_000);
    expect(await store.destroyByUser("ada", { except: store.handleOf("session-7") })).toBe(9999);
    expect(await handlesOf(store, "ada")).toEqual([store.handleOf("session-7")]);
    expect(await handlesOf(store, "bob")).toHaveLength(1);
  });
});

describe.each(variants().filter(({ name }) => name.startsWith("@nats-io")))(
  "sessions that are renewed for long over $name",
  (variant: Variant) => {
    const stores = new Stores(variant);
    afterAll(() => stores.close());

    it("stay listed although their index entry alone would have expired", {
      timeout: 120_000,
    }, async () => {
      await withinLife(1000, async (life) => {
        const store = await stores.open({ ttl: life, touchAfter: 0 });
        const begun = Date.now();
        for (const id of ["touched", "saved"]) await store.save(id, { user: "ada", n: 0 });
        for (let n = 1, aliveUntil = begun + life; Date.now() < begun + 4.5 * life; n++) {
          const [touched, saved] = [await store.load("touched"), await store.load("saved")];
          const list = await sessionsOf(store, "ada");
          if (Date.now() >= aliveUntil) return false;
          if (!touched || !saved) throw new Error(`Gone after ${n} rounds`);
          expect(list).toHaveLength(2);
          const renewedAt = Date.now();
          await store.touch("touched", touched);
          await store.save("saved", { user: "ada", n }, { record: saved });
          if (Date.now() >= aliveUntil) return false;
          aliveUntil = renewedAt + life;
          await sleep(0.15 * life);
        }
        return true;
      });
    });
  },
);

describe("a process that is killed while users sign in", () => {
  it("leaves a list that holds exactly the sessions that were stored", { timeout: 120_000 }, async ({
    onTestFinished: defer,
  }) => {
    const server = await startNatsServer();
    defer(() => server.stop());
    const stores = new Stores({ connect: () => connectTo(server, defer) });
    const bucket = newBucket();
    const store = await stores.open({ bucket });
    const options = { bucket, name: "ada", count: 5000, start: "killed" };
    const child = fork(program, [server.url, JSON.stringify(options)]);
    await once(child, "message");
    const changes = store.changes();
    await changes.ready;
    const exit = once(child, "exit");
    child.send("go");
    await changes.next();
    child.kill("SIGKILL");
    await exit;
    await changes.return();
    // What it had sent the server takes in all the same; what we send when it has done so comes after it.
    await until("the end of its connection", async () => {
      const { num_connections } = (await (await fetch(`${server.monitorUrl}/connz`)).json()) as {
        num_connections: number;
      };
      return num_connections === 1;
    });
    await store.save("the last", {});
    await store.destroy("the last");
    const listed = await sessionsOf(store, "ada");
    expect(listed.length).toBeGreaterThan(0);
    const live: string[] = [];
    for await (const handle of store.handles()) live.push(handle);
    expect(listed.map(({ handle }) => handle).sort()).toEqual(live.sort());
    expect(await store.destroyByUser("ada")).toBe(live.length);
    expect(await store.count({ exact: true })).toBe(0);
  });
});
