import type { SessionStore } from "nats-session-store";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { openPatient, PATIENCE } from "../support/patient.js";
import { runModule } from "../support/run-program.js";
import { type Connection, clients, newBucket } from "../support/variants.js";

const url = inject("currentServer");

it("importing the package opens nothing, prints nothing and lets the process end", async () => {
  const output = await runModule(`
    const listeners = new Set(process.eventNames());
    await import("nats-session-store");
    // The loader's own file handles are closed within a few turns.
    const end = Date.now() + 5000;
    (function look() {
      const open = process.getActiveResourcesInfo();
      if (open.length > 0 && Date.now() < end) return void setImmediate(look);
      console.log(open, process.eventNames().filter((name) => !listeners.has(name)));
    })();
  `);
  expect(output).toBe("[] []\n");
});

describe.each(Object.keys(clients))("a process with %s ends", (client) => {
  const program = (rest: string) =>
    runModule(`
      import { connect } from ${JSON.stringify(client.startsWith("nats ") ? "nats" : "@nats-io/transport-node")};
      import { SessionStore } from "nats-session-store";
      const nc = await connect({ servers: ${JSON.stringify(url)} });
      const options = { bucket: ${JSON.stringify(newBucket())}, timeout: ${PATIENCE} };
      const store = await SessionStore.open(nc, options);
      await store.save("id", { n: 1 });
      await store.load("id");
      const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
      ${rest}
    `);

  it.each([
    ["when its connection is closed although a store is open", "await nc.close();", ""],
    ["when its connection is drained although a store is open", "await nc.drain();", ""],
    ["when the store and then the connection are closed", "await store.close(); await nc.close();", ""],
    ["when the connection and then the store are closed", "await nc.close(); await store.close();", ""],
    [
      "when its connection is closed although changes are read",
      `const changes = store.changes();
      changes.next().catch((error) => console.log(error.code));
      await changes.ready;
      await nc.close();`,
      "ERR_SESSION_UNAVAILABLE\n",
    ],
    [
      "and the open store has kept no timer that would hold it",
      `const open = timers();
      await store.close();
      console.log(timers() - open);
      await nc.close();`,
      "0\n",
    ],
  ])("%s", async (_when, rest, output) => {
    expect(await program(rest)).toBe(output);
  });
});

interface Listeners {
  listeners?: unknown[];
}

describe.each(Object.entries(clients))("on a connection of %s", (_client, connect) => {
  let nc: Connection;
  let store: SessionStore;
  const bucket = newBucket();

  /** What the client keeps for each subscription and each status listener. */
  const kept = () => {
    const { protocol, listeners } = nc as unknown as {
      protocol: { subscriptions: { size(): number } } & Listeners;
    } & Listeners;
    return {
      subscriptions: protocol.subscriptions.size(),
      listeners: (protocol.listeners ?? listeners)?.length,
    };
  };

  beforeEach(async () => {
    nc = await connect({ servers: url });
    store = await openPatient(nc, { bucket });
  });
  afterEach(async () => {
    await store.close();
    await nc.close();
  });

  it("a store has one subscription, however busy it is", async () => {
    const another = await openPatient(nc, { bucket });
    const { subscriptions } = kept();
    await Promise.all(Array.from({ length: 100 }, (_, n) => store.save(`${n}`, { n })));
    expect(kept().subscriptions).toBe(subscriptions);
    await another.close();
    expect(kept().subscriptions).toBe(subscriptions - 1);
  });

  it("stores that were opened and closed, and openings that failed, leave nothing", async () => {
    const before = kept();
    for (let n = 0; n < 30; n++) {
      const another = await openPatient(nc, { bucket });
      await another.load("id");
      await another.close();
      const opening = openPatient(nc, { bucket: newBucket(), createBucket: false });
      await expect(opening).rejects.toMatchObject({ code: "ERR_SESSION_BUCKET_MISSING" });
    }
    expect(kept()).toEqual(before);
    expect(nc.isClosed()).toBe(false);
    await nc.flush();
    expect(await store.load("missing")).toBeNull();
  });

  it("many stores cause no warning of a leak", async () => {
    const leaks: Error[] = [];
    const note = (warning: Error) => {
      if (warning.name === "MaxListenersExceededWarning") leaks.push(warning);
    };
    process.on("warning", note);
    const many = await Promise.all(Array.from({ length: 20 }, () => openPatient(nc, { bucket })));
    await Promise.all(many.map((each) => each.load("id")));
    await Promise.all(many.map((each) => each.close()));
    process.off("warning", note);
    expect(leaks).toEqual([]);
  });

  it("1 000 loads in flight are each answered with their own session", async () => {
    await Promise.all(Array.from({ length: 100 }, (_, n) => store.save(`${n}`, { n })));
    const loaded = await Promise.all(Array.from({ length: 1000 }, (_, n) => store.load(`${n % 200}`)));
    expect(loaded.map((record) => record?.data.n)).toEqual(
      Array.from({ length: 1000 }, (_, n) => (n % 200 < 100 ? n % 200 : undefined)),
    );
  });

  it("close waits each time it is called for all operations under way", async () => {
    const own = newBucket();
    const closing = await openPatient(nc, { bucket: own });
    let settled = 0;
    for (let n = 0; n < 50; n++) void closing.save(`${n}`, { n }).then(() => settled++);
    const first = closing.close();
    await closing.close();
    expect(settled).toBe(50);
    await first;
    const again = await openPatient(nc, { bucket: own });
    expect(await again.count({ exact: true })).toBe(50);
    await again.close();
  });

  it("close waits for a save whose serializer takes its time", async () => {
    let finish: (text: string) => void = () => {};
    const serializer = {
      stringify: () => new Promise<string>((resolve) => (finish = resolve)),
      parse: (text: string) => JSON.parse(text) as object,
    };
    const slow = await openPatient(nc, { bucket, serializer });
    const save = slow.save("slow", {});
    const closing = slow.close();
    finish("{}");
    await closing;
    expect((await save).outcome).toBe("saved");
  });
});
