import type { KV } from "@nats-io/kv";
import { deleteBucket, emptyBucket } from "../bucket.js";
import type { Step, Tour } from "../tour.js";

/** Put, get, update, delete, list; what is not there; and what the bucket refuses. */
export const step: Step = {
  title: "put, get, update, delete",

  async run({ nc, say }) {
    const kv = await emptyBucket(nc, "tour-crud", { maxValueSize: 256 });
    try {
      await writeAndRead(kv, say);
      await whatIsNotThere(kv, say);
      await whatIsRefused(kv, say);
    } finally {
      await deleteBucket(nc, "tour-crud");
    }
  },
};

async function writeAndRead(kv: KV, say: Tour["say"]): Promise<void> {
  // A value is bytes; a string is stored as UTF-8. A put answers with the revision: the sequence number of the
  // write in the whole bucket, not in this key.
  const first = await kv.put("user.ada", JSON.stringify({ name: "Ada", city: "London" }));
  say(`put user.ada: revision ${first}`);
  await kv.put("user.alan", JSON.stringify({ name: "Alan", city: "Wilmslow" }));

  const ada = await kv.get("user.ada");
  if (ada === null) throw new Error("Expected user.ada to be there");
  say(`get user.ada: ${ada.string()}`);
  say(`revision ${ada.revision}, operation ${ada.operation}, written at ${ada.created.toISOString()}`);

  // `put` replaces whatever is there. `update` does so only if the key still has the revision that was read;
  // the step `revisions` says more about it.
  const changed = { ...ada.json<object>(), city: "Ockham" };
  const second = await kv.update("user.ada", JSON.stringify(changed), ada.revision);
  say(`update user.ada from revision ${ada.revision}: revision ${second}`);
  say(`get user.ada: ${(await kv.get("user.ada"))?.string()}`);

  // Dots make a key a path; `*` stands for one part of it, `>` for all that follow.
  say(`keys user.*: ${await list(kv, "user.*")}`);
}

async function whatIsNotThere(kv: KV, say: Tour["say"]): Promise<void> {
  // A delete is a write too: a marker with a revision, so that whoever watches learns of it.
  await kv.delete("user.alan");
  const deleted = await kv.get("user.alan");
  say(`get user.alan, deleted: operation ${deleted?.operation}, revision ${deleted?.revision}, no value`);
  say(`get user.grace, never written: ${await kv.get("user.grace")}`);
  say(`keys: ${await list(kv)}`);

  // So "there is a value" is neither `entry !== null` nor `entry.length > 0` (a value may be empty).
  for (const key of ["user.ada", "user.alan", "user.grace"]) {
    const entry = await kv.get(key);
    say(`${key} has a value: ${entry?.operation === "PUT"}`);
  }
}

async function whatIsRefused(kv: KV, say: Tour["say"]): Promise<void> {
  const before = await kv.status();

  // Keys are letters, digits, `-`, `_`, `=`, `/` and `.`; the client looks before it sends anything.
  await refused(say, 'put ""', () => kv.put("", "nobody"));
  await refused(say, 'put "user ada"', () => kv.put("user ada", "a space"));
  // The server looks at the size. What `maxValueSize` limits is the message, its headers included, and an
  // update has some 50 bytes of them: leave room.
  await refused(say, "put 257 bytes", () => kv.put("user.ada", "x".repeat(257)));

  const after = await kv.status();
  say(`The bucket is as it was: ${before.streamInfo.state.last_seq === after.streamInfo.state.last_seq}`);

  // Any bytes are a value. That they are JSON is between the writers and the readers, and `json()` throws.
  await kv.put("user.bob", "not JSON");
  const bob = await kv.get("user.bob");
  await refused(say, "json() of user.bob", async () => bob?.json());
}

async function refused(say: Tour["say"], what: string, attempt: () => Promise<unknown>): Promise<void> {
  try {
    await attempt();
  } catch (error) {
    say(`${what}: ${(error as Error).name}: ${(error as Error).message}`);
    return;
  }
  throw new Error(`Expected ${what} to be refused`);
}

async function list(kv: KV, filter?: string): Promise<string> {
  const keys: string[] = [];
  for await (const key of await kv.keys(filter)) keys.push(key);
  return keys.sort().join(", ");
}
