import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { SessionStore } from "nats-session-store";
import { afterEach, beforeEach, describe, expect, inject, it } from "vitest";
import { openPatient, PATIENCE } from "../support/patient.js";
import { type Connection, clients, newBucket } from "../support/variants.js";

const here = fileURLToPath(new URL(".", import.meta.url));

/** Longer than a process takes that ends by itself, on a busy machine too, in ms. */
const LONG = 50_000;

/** Runs a module in a process of its own; it fails unless the process ends by itself. */
async function run(source: string): Promise<string> {
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    ["--input-type=module", "--trace-warnings", "--eval", source],
    { cwd: here, timeout: LONG },
  );
  return stdout + stderr;
}

describe("importing the package", () => {
  it("opens nothing, prints nothing and lets the process end", async () => {
    const output = await run(`
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
});

for (const [client, connect] of Object.entries(clients)) {
  const url = inject("currentServer");

  describe(`a process with ${client}`, () => {
    const module = client.startsWith("nats ") ? "nats" : "@nats-io/transport-node";
    const program = (rest: string) =>
      run(`
        import { connect } from ${JSON.stringify(module)};
        import { openSessionStore } from "nats-session-store";
        const nc = await connect({ servers: ${JSON.stringify(url)} });
        const options = { bucket: ${JSON.stringify(newBucket())}, timeout: ${PATIENCE} };
        const store = await openSessionStore(nc, options);
        await store.save("id", { n: 1 });
        await store.load("id");
        ${rest}
      `);

    it("ends when its connection is closed, although a store is still open", async () => {
      expect(await program('await nc.close(); console.log("closed");')).toBe("closed\n");
    });

    it("ends when its connection is closed, although somebody reads changes", async () => {
      expect(
        await program(`
          const changes = store.changes();
          changes.next().catch((error) => console.log(error.code));
          await changes.ready;
          await nc.close();
        `),
      ).toBe("ERR_SESSION_UNAVAILABLE\n");
    });

    it("ends when its connection is drained, although a store is still open", async () => {
      expect(await program('await nc.drain(); console.log("drained");')).toBe("drained\n");
    });

    it("ends when store and connection are closed, in either order", async () => {
      expect(await program("await store.close(); await nc.close();")).toBe("");
      expect(await program("await nc.close(); await store.close();")).toBe("");
    });

    it("ends when the socket alone is left and no longer counts: the store adds nothing", async () => {
      // What holds the process is the client's; the store itself leaves no timer that counts.
      const output = await program(`
        console.log(process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length);
        await store.close();
        console.log(process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length);
        await nc.close();
      `);
      const [open, closed] = output.split("\n");
      expect(open).toBe(closed);
    });
  });

  describe(`a connection of ${client}`, () => {
    let nc: Connection;
    let store: SessionStore;
    const bucket = newBucket();

    /** What the client keeps for each subscription and each status listener. */
    const kept = () => {
      const inner = nc as unknown as {
        protocol: { subscriptions: { size(): number } } & Listeners;
      } & Listeners;
      return {
        subscriptions: inner.protocol.subscriptions.size(),
        listeners: (inner.protocol.listeners ?? inner.listeners)?.length,
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

    it("has one subscription more while a store is open, however busy", async () => {
      const another = await openPatient(nc, { bucket });
      const { subscriptions } = kept();
      await Promise.all(Array.from({ length: 100 }, (_, n) => store.save(`${n}`, { n })));
      expect(kept().subscriptions).toBe(subscriptions);
      await another.close();
      expect(kept().subscriptions).toBe(subscriptions - 1);
    });

    it("is as it was, and still open, when stores have been opened and closed", async () => {
      const before = kept();
      for (let n = 0; n < 30; n++) {
        const another = await openPatient(nc, { bucket });
        await another.load("id");
        await another.close();
      }
      expect(kept()).toEqual(before);
      expect(nc.isClosed()).toBe(false);
      await nc.flush();
      expect(await store.load("nobody")).toBeNull();
    });

    it("is as it was when an opening has failed", async () => {
      const before = kept();
      for (let n = 0; n < 10; n++) {
        const opening = openPatient(nc, { bucket: newBucket(), createBucket: false });
        await expect(opening).rejects.toMatchObject({ code: "ERR_SESSION_BUCKET_MISSING" });
      }
      expect(kept()).toEqual(before);
    });

    it("gives one warning to nobody: many stores are no leak", async () => {
      const warnings: Error[] = [];
      const note = (warning: Error) => warnings.push(warning);
      process.on("warning", note);
      const many = await Promise.all(Array.from({ length: 20 }, () => openPatient(nc, { bucket })));
      await Promise.all(many.map((each) => each.load("id")));
      await Promise.all(many.map((each) => each.close()));
      process.off("warning", note);
      expect(warnings).toEqual([]);
    });
  });

  describe(`close over ${client}`, () => {
    it("waits for the operations under way", async () => {
      const nc = await connect({ servers: url });
      const options = { bucket: newBucket() };
      const store = await openPatient(nc, options);
      const saves = Array.from({ length: 50 }, (_, n) => store.save(`${n}`, { n }));
      let settled = 0;
      for (const save of saves) void save.then(() => settled++);
      await store.close();
      expect(settled).toBe(50);
      const again = await openPatient(nc, options);
      expect(await again.count({ exact: true })).toBe(50);
      await again.close();
      await nc.close();
    });

    it("called twice at once waits both times", async () => {
      const nc = await connect({ servers: url });
      const store = await openPatient(nc, { bucket: newBucket() });
      let saved = false;
      void store.save("id", {}).then(() => {
        saved = true;
      });
      const first = store.close();
      await store.close();
      expect(saved).toBe(true);
      await first;
      await nc.close();
    });

    it("waits for a save whose serializer takes its time", async () => {
      const nc = await connect({ servers: url });
      let finish: (text: string) => void = () => {};
      const serializer = {
        stringify: () => new Promise<string>((resolve) => (finish = resolve)),
        parse: (text: string) => JSON.parse(text) as object,
      };
      const store = await openPatient(nc, { bucket: newBucket(), serializer });
      const save = store.save("id", {});
      const closing = store.close();
      finish("{}");
      await closing;
      expect((await save).outcome).toBe("saved");
      await nc.close();
    });
  });

  it(`1 000 loads in flight at once over ${client}`, async () => {
    const nc = await connect({ servers: url });
    const store = await openPatient(nc, { bucket: newBucket() });
    await Promise.all(Array.from({ length: 100 }, (_, n) => store.save(`${n}`, { n })));
    const loaded = await Promise.all(Array.from({ length: 1000 }, (_, n) => store.load(`${n % 200}`)));
    expect(loaded.map((record) => record?.data.n)).toEqual(
      Array.from({ length: 1000 }, (_, n) => (n % 200 < 100 ? n % 200 : undefined)),
    );
    await store.close();
    await nc.close();
  });
}

interface Listeners {
  listeners?: unknown[];
}
