import { readFile } from "node:fs/promises";
import { connect as connectV3 } from "@nats-io/transport-node";
import { connect as connectV2 } from "nats";
import { startNatsServer } from "nats-dev-server";
import { openSessionStore } from "nats-session-store";
import { describe, expect, it } from "vitest";

interface Data {
  n?: number;
  user?: string;
}

/** What the README says that an application account needs, by kind. */
async function readPermissions(): Promise<Record<"publish" | "subscribe", string[]>> {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const block = /```\n(publish: [^`]*)```/.exec(readme)?.[1] ?? "";
  const [publish = "", subscribe = ""] = block.split("subscribe:");
  const subjects = (text: string) => text.match(/[\w$-]+(?:\.[\w$>-]+)+/g) ?? [];
  return { publish: subjects(publish), subscribe: subjects(subscribe) };
}

describe.each(Object.entries({ "@nats-io/transport-node 3": connectV3, "nats 2.29": connectV2 }))(
  "the account of the README, with %s",
  (_name, connect) => {
    it("can do everything with a bucket that exists, and nothing else", async () => {
      const { publish, subscribe } = await readPermissions();
      expect(publish).toHaveLength(5);
      const list = (subjects: string[]) => subjects.map((subject) => JSON.stringify(subject)).join(", ");
      const config = `authorization { users: [
        { user: admin, password: p },
        { user: app, password: p, permissions: { publish: [${list(publish)}], subscribe: [${list(subscribe)}] } }
      ] }`;
      await using server = await startNatsServer({ config });
      const admin = await connect({ servers: server.url, user: "admin", pass: "p" });
      await (await openSessionStore(admin)).close();

      const nc = await connect({ servers: server.url, user: "app", pass: "p" });
      const store = await openSessionStore<Data>(nc, {
        touchAfter: 0,
        timeout: 1000,
        user: ({ user }) => user,
      });
      const changes = store.changes();
      await changes.ready;
      await store.save("one", { n: 1 });
      const record = await store.load("one");
      if (!record) throw new Error("not found");
      expect((await store.touch("one", record)).outcome).toBe("touched");
      expect((await store.save("one", { n: 2 }, { record })).outcome).toBe("saved");
      expect(await store.load("two")).toBeNull();
      expect(await store.count()).toBe(1);
      expect(await store.count({ exact: true })).toBe(1);
      expect(await store.destroy("one")).toBe(true);
      expect((await changes.next()).value).toMatchObject({ type: "created", handle: store.handleOf("one") });
      await changes.return();
      await store.save("three", { user: "ada" });
      expect((await store.listOf("ada").next()).value).toMatchObject({ handle: store.handleOf("three") });
      expect(await store.destroyOf("ada")).toBe(1);
      await store.save("three", {});
      await store.clear();
      expect(await store.count({ exact: true })).toBe(0);
      await store.close();

      await expect(openSessionStore(nc, { bucket: "others", timeout: 1000 })).rejects.toMatchObject({
        code: "ERR_SESSION_PERMISSION",
        message: expect.stringContaining("$JS.API.STREAM.INFO.KV_others"),
      });
      await Promise.all([nc.close(), admin.close()]);
    });
  },
);
