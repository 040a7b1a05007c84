import { createHash } from "node:crypto";
import { inFlight } from "../harness/in-flight.mjs";

/** A session id like those of express-session: 32 characters. */
export function idOf(index) {
  return createHash("sha256").update(`session ${index}`).digest("base64url").slice(0, 32);
}

/** What a signed-in user's session looks like: about 350 bytes of JSON, as long whatever `visits` is. */
export function sessionData(index, visits = 0) {
  return {
    cookie: {
      originalMaxAge: 86_400_000,
      expires: "2026-11-24T08:30:00.000Z",
      httpOnly: true,
      secure: true,
      path: "/",
      sameSite: "lax",
    },
    user: {
      id: 1_000_000 + index,
      name: "Ada Lovelace",
      email: "ada@example.com",
      roles: ["editor", "author"],
    },
    csrf: "q7Zb1mJ0wYw3Qe5v8sTnKfXg2LrPdHcA",
    signedInAt: 1_763_800_000_000,
    visits: 100_000_000 + visits,
    theme: "dark",
  };
}

/**
 * Saves sessions, those of which nothing is known yet.
 *
 * @param {import("nats-session-store").SessionStore<any>} store
 * @returns the record of each
 */
export async function fill(store, count) {
  const records = new Array(count);
  await inFlight(128, count, async (index) => {
    records[index] = (await store.save(idOf(index), sessionData(index))).record;
  });
  return records;
}
