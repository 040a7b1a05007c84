import { afterAll, describe, expect, it } from "vitest";
import { warm } from "../../support/cached.js";
import { Gate } from "../../support/gate.js";
import { handlesOf, Stores, sessionsOf } from "../../support/stores.js";
import { connectCurrent, newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";

/** However slow the machine is, no proof of the cache grows too old meanwhile. */
const cache = { maxStale: 600_000 };
const ids = Array.from({ length: 20 }, (_, n) => `session-${n}`);

describe("a list of a user's sessions with the near cache", () => {
  const stores = new Stores({ connect: connectCurrent });
  afterAll(() => stores.close());

  const begin = async () => {
    const bucket = newBucket();
    const sent: string[] = [];
    const { connection } = new Gate(await stores.connect(), (subject) => {
      if (!subject.startsWith("$JS.API.STREAM.INFO.")) sent.push(subject);
      return 0;
    });
    const store = await stores.openOn(connection, { bucket, cache });
    const other = await stores.open({ bucket });
    for (const id of ids) await other.save(id, { user: "ada", id });
    for (const id of ids) await warm(store, id);
    return { store, other, sent };
  };

  it("reads the index entry and none of the sessions that the cache has", async () => {
    const { store, other, sent } = await begin();
    sent.length = 0;
    const list = await sessionsOf(store, "ada");
    expect(sent).toHaveLength(1);
    expect(sent[0]).toContain(".u.");
    expect(list).toEqual(await sessionsOf(other, "ada"));
  });

  it("tells the time of a write of its own by the clock of the process", async () => {
    const { store } = await begin();
    const before = Date.now();
    await store.update("session-3", (data) => ({ ...data, id: "changed" }));
    const session = (await sessionsOf(store, "ada")).find(({ data }) => data.id === "changed");
    expect(session?.lastWriteAt).toBeGreaterThanOrEqual(before);
    expect(session?.lastWriteAt).toBeLessThanOrEqual(Date.now());
  });

  it("leaves a session out that this process has ended, at once, and one that another has ended, when the feed tells", async () => {
    const { store, other } = await begin();
    await store.destroy("session-4");
    expect(await handlesOf(store, "ada")).not.toContain(store.handleOf("session-4"));
    await other.destroy("session-5");
    await until("a list without it", async () => {
      return !(await handlesOf(store, "ada")).includes(store.handleOf("session-5"));
    });
    expect(await handlesOf(store, "ada")).toHaveLength(18);
  });
});
