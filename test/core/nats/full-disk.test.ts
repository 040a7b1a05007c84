import { randomBytes } from "node:crypto";
import { connect } from "@nats-io/transport-node";
import { findNatsServer, startNatsServer } from "nats-dev-server";
import { SessionStore } from "nats-session-store";
import { expect, it } from "vitest";
import { answered } from "../../support/answered.js";
import { debianServer } from "../../support/debian.js";
import { smallDisk } from "../../support/small-disk.js";
import { until } from "../../support/wait.js";

const old = await debianServer("trixie");

const servers = [
  { name: "the current server", binary: findNatsServer().path, healsBy: "restart" },
  ...(old ? [{ name: "server 2.10", binary: old, healsBy: "space" }] : []),
];

/** More than is left in the last page of a file. */
const large = () => ({ text: randomBytes(30_000).toString("base64") });

const code = (operation: Promise<unknown>) =>
  operation.then(
    () => "done",
    (error: { code?: string }) => error.code,
  );

it.each(servers)(
  "a full disk has a code of its own, keeps what is stored readable, and is over after $healsBy, on $name",
  async ({ binary, healsBy }) => {
    await using disk = await smallDisk();
    await using server = await startNatsServer({
      binary,
      dataDir: `${disk.path}/data`,
      config: "jetstream { max_file_store: 1GB }",
    });
    const nc = await connect({ servers: server.url, maxReconnectAttempts: -1, reconnectTimeWait: 50 });
    const store = await answered(() => SessionStore.open(nc, { timeout: 2000 }));
    const ids = Array.from({ length: 20 }, (_, n) => `id${n}`);
    await Promise.all(ids.map((id) => answered(() => store.save(id, large()))));

    await disk.fill(server.pid);
    const seen: (string | undefined)[] = [];
    await until("the code of a full disk", async () => {
      const save = await store.save("new", large()).then(
        () => undefined,
        (error: Error & { code?: string }) => error,
      );
      seen.push(save?.code ?? "done");
      if (save?.code !== "ERR_SESSION_DISK_FULL") return false;
      expect(save.message).toMatch(/disk is full or failing.*Free disk space.*restart/);
      return true;
    });
    // On a slow machine an answer may not have come in time before.
    expect(seen.filter((one) => one === "done")).toEqual([]);
    for (const id of ids) expect((await answered(() => store.load(id)))?.data).toHaveProperty("text");
    expect(await answered(() => store.load("new"))).toBeNull();
    expect(await answered(() => store.count({ exact: true }))).toBe(ids.length);

    await disk.free(server.pid);
    if (healsBy === "restart") {
      await until(
        "the same code once there is space again",
        async () => (await code(store.save("new", large()))) === "ERR_SESSION_DISK_FULL",
      );
      expect(await code(store.destroy("id0"))).not.toBe("done");
      await server.restart();
    }
    expect((await answered(() => store.save("new", large()))).outcome).toBe("saved");
    expect(await answered(() => store.destroy("id0"))).toBe(true);
    expect(await answered(() => store.count({ exact: true }))).toBe(ids.length);
    await store.close();
    await nc.close();
  },
);
