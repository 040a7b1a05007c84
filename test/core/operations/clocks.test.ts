import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { SessionStoreOptions } from "nats-session-store";
import { afterAll, afterEach, describe, expect, it } from "vitest";
import { decodeIndexEntry, encodeIndexEntry } from "../../../packages/core/src/format/metadata.js";
import { RawBucket } from "../../support/raw-bucket.js";
import { handlesOf, Stores } from "../../support/stores.js";
import { newBucket, type Variant, variants } from "../../support/variants.js";

const MINUTE = 60_000;
const program = fileURLToPath(new URL("programs/shifted-clock.mjs", import.meta.url));

/** A process with a store whose clock is off. */
class Shifted {
  private constructor(private readonly child: ChildProcess) {}

  static async start(url: string, minutes: number, options: SessionStoreOptions): Promise<Shifted> {
    const child = fork(program, [url, String(minutes * MINUTE), JSON.stringify(options)]);
    await once(child, "message");
    return new Shifted(child);
  }

  async call(name: string, ...args: unknown[]): Promise<unknown> {
    const answer = once(this.child, "message");
    this.child.send({ name, args });
    return (await answer)[0];
  }

  async end(): Promise<void> {
    const exit = once(this.child, "exit");
    this.child.send({ name: "end" });
    await exit;
  }
}

describe.each(variants().filter(({ name }) => name.startsWith("@nats-io")))(
  "a process whose clock is off, over $name",
  (variant: Variant) => {
    const stores = new Stores(variant);
    const running: Shifted[] = [];
    afterEach(async () => {
      await Promise.all(running.splice(0).map((shifted) => shifted.end()));
    });
    afterAll(() => stores.close());

    const begin = async (minutes: number, options: SessionStoreOptions = {}) => {
      const bucket = newBucket();
      const shared = { bucket, ...options };
      const store = await stores.open({ ...shared, touchAfter: 0 });
      const shifted = await Shifted.start(variant.url, minutes, shared);
      running.push(shifted);
      const raw = new RawBucket(await stores.connect(), bucket);
      return { store, shifted, raw };
    };

    /** Makes the members of a user's index entry old, as if they had been added two hours ago. */
    const age = async (raw: RawBucket, hash: string): Promise<void> => {
      const { headers, value } = await raw.get(`u.${hash}`);
      const { expiresAt, members } = decodeIndexEntry((name) => headers[name as string] ?? "", value);
      const places = await Promise.all(
        members.map(async ({ handle }) => (await raw.get(`s.${handle}`)).headers["Session-Index"]),
      );
      const old = members.map((member, n) => {
        const addedAt = Date.now() - 120 * MINUTE;
        return { ...member, place: Number(places[n]?.split(" ")[0]), addedAt };
      });
      const entry = encodeIndexEntry({ expiresAt, members: old });
      await raw.put(`u.${hash}`, { headers: Object.fromEntries(entry.headers), value: entry.value });
    };

    it.each([5, -5])(
      "by %d minutes hides no session of the others: what it does not see stays in the user's list",
      async (minutes) => {
        const { store, shifted, raw } = await begin(minutes);
        await store.save("short", { user: "ada" }, { ttl: 4 * MINUTE });
        await store.save("long", { user: "ada" }, { ttl: 60 * MINUTE });
        await age(raw, store.hashUser("ada"));
        const own = (await shifted.call("list", "ada")) as string[];
        expect(own).toHaveLength(minutes > 0 ? 1 : 2);
        // Removals from the list wait for a moment, and go with the next sign-in.
        await shifted.call("save", "theirs", { user: "ada" }, 60 * MINUTE);
        await shifted.end();
        running.splice(0);
        expect((await handlesOf(store, "ada")).sort()).toEqual(
          ["short", "long", "theirs"].map((id) => store.handleOf(id)).sort(),
        );
      },
    );

    it.each([5, -5])(
      "by %d minutes ends all sessions of a user, also those that it does not see",
      async (minutes) => {
        const { store, shifted } = await begin(minutes);
        await store.save("short", { user: "ada" }, { ttl: 4 * MINUTE });
        await store.save("long", { user: "ada" }, { ttl: 60 * MINUTE });
        await shifted.call("destroyByUser", "ada");
        expect([await store.load("short"), await store.load("long")]).toEqual([null, null]);
        expect(await handlesOf(store, "ada")).toEqual([]);
      },
    );

    it.each([5, -5])("by %d minutes signs in and out as all others do", async (minutes) => {
      const { store, shifted } = await begin(minutes, { maxSessionsPerUser: 3 });
      for (let n = 0; n < 6; n++) {
        if (n % 2 === 0) await store.save(`session-${n}`, { user: "ada" }, { ttl: 60 * MINUTE });
        else await shifted.call("save", `session-${n}`, { user: "ada" }, 60 * MINUTE);
        const newest = [n, n - 1, n - 2]
          .filter((one) => one >= 0)
          .map((one) => store.handleOf(`session-${one}`));
        expect((await handlesOf(store, "ada")).sort()).toEqual(newest.sort());
        expect(((await shifted.call("list", "ada")) as string[]).sort()).toEqual(newest.sort());
      }
      // The index entry lasts as long as the sessions, whichever process renews them.
      expect(await shifted.call("touch", "session-5", 600 * MINUTE)).toBe("touched");
      const record = await store.load("session-4");
      if (!record) throw new Error("not found");
      expect((await store.touch("session-4", record, { ttl: 1200 * MINUTE })).outcome).toBe("touched");
      expect(await handlesOf(store, "ada")).toHaveLength(3);
      expect(await shifted.call("destroy", "session-4")).toBe(true);
      expect(await shifted.call("destroyByUser", "ada")).toBe(2);
      expect(await store.count({ exact: true })).toBe(0);
    });
  },
);
