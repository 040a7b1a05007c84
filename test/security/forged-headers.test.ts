import type { SessionChange, SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPatient } from "../support/patient.js";
import { putEntry } from "../support/put-entry.js";
import { type Connection, newBucket, variants } from "../support/variants.js";

/**
 * Whoever may write to the bucket can put headers there that the server gives too. What the server says of an
 * entry has to win: else an entry could pose as another one, and its revision as one that no save can be based on.
 */
describe.each(variants())("headers that pose as the server's own, over $name", ({ connect, ttls }) => {
  let nc: Connection;
  let store: SessionStore;
  const bucket = newBucket();
  beforeAll(async () => {
    nc = await connect();
    store = await openPatient(nc, { bucket });
  });
  afterAll(async () => {
    await store.close();
    await nc.close();
  });

  const forge = async (id: string) => {
    const now = Date.now();
    await putEntry(nc, bucket, `s.${store.handleOf(id)}`, '{"n":1}', {
      "Session-Format": "1",
      "Session-Created": String(now),
      "Session-Expires": String(now + 600_000),
      "Session-Write": "create",
      "Nats-Subject": `$KV.${bucket}.s.${store.handleOf("the victim")}`,
      "Nats-Sequence": "777777",
      "Nats-Time-Stamp": "2001-01-01T00:00:00Z",
    });
  };

  it("change neither the name nor the revision of a session", async () => {
    await forge("one");
    const record = await store.load("one");
    expect(record?.revision).toBeLessThan(777_777);
    expect((await store.save("one", { n: 2 }, { record: record ?? undefined })).outcome).toBe("saved");
    expect(await store.destroy("one")).toBe(true);
  });

  it("nor what a listing and the feed tell", async () => {
    const changes = store.changes();
    await changes.ready;
    await forge("two");
    const { value: change } = await changes.next();
    await changes.return();
    expect(change).toMatchObject({ type: "created", handle: store.handleOf("two") });
    // Older servers republish no time.
    if (ttls) expect((change as SessionChange).at).toBeGreaterThan(Date.now() - 3_600_000);
    const handles: string[] = [];
    for await (const handle of store.ids()) handles.push(handle);
    expect(handles).toContain(store.handleOf("two"));
    expect(handles).not.toContain(store.handleOf("the victim"));
  });
});
