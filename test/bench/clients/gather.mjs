import { createInbox } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { handleOf } from "nats-session-store";
import { sessionKeyStart } from "../../../packages/core/dist/format/keys.js";
import { Buckets } from "../../../packages/core/dist/nats/buckets.js";
import { directEntry } from "../../../packages/core/dist/nats/replies.js";
import { resolveOptions } from "../../../packages/core/dist/resolve-options.js";
import { idOf } from "./sessions.mjs";

/** A step with which the groups go through the sessions, so that those of a group were not stored side by side. */
const STRIDE = 7919;

/**
 * Reads groups of different sessions: each with a direct get of its own through the store's mux, or all with one
 * `multi_last` request over a small client of its own. Both end with the same entries, one promise for each.
 */
export async function open({ url, bucket, sessions, gathered }) {
  const nc = await connect({ servers: url });
  const keyStart = sessionKeyStart();
  const keys = Array.from({ length: sessions }, (_, index) => keyStart + handleOf(idOf(index)));
  const opened = new Buckets(nc, resolveOptions({ bucket }));
  await opened.open(performance.now() + 10_000);
  const { entries } = opened.at(0);
  const single = (keys) =>
    keys.map((key) => entries.read(key, performance.now() + 2000, (entry) => !entry.deleted));
  const read = gathered ? multiReader(nc, bucket) : single;
  let size = 1;
  return {
    group: (keys) => {
      size = keys;
    },
    operation: async (index) => {
      const group = Array.from({ length: size }, (_, i) => keys[((index * size + i) * STRIDE) % sessions]);
      const found = await Promise.all(read(group));
      if (found.some((entry) => entry === null)) throw new Error("A session is missing");
    },
    /** Latency in ms: the mean of groups one after the other. */
    close: () => nc.close(),
  };
}

function multiReader(nc, bucket) {
  const prefix = `$KV.${bucket}.`;
  const inbox = `${createInbox()}.`;
  const pending = new Map();
  let next = 0;
  nc.subscribe(`${inbox}*`, {
    callback: (_error, message) => {
      const token = message.subject.slice(inbox.length);
      const waiting = pending.get(token);
      // The end of the answer is an empty message of status 204.
      if (message.data.length === 0 && message.headers?.code === 204) {
        pending.delete(token);
        for (const resolve of waiting.values()) resolve(null);
        return;
      }
      const entry = directEntry(message);
      const resolve = waiting.get(entry.subject);
      waiting.delete(entry.subject);
      resolve(entry);
    },
  });
  return (keys) => {
    const token = (next++).toString(36);
    const waiting = new Map();
    pending.set(token, waiting);
    const promises = keys.map((key) => new Promise((resolve) => waiting.set(prefix + key, resolve)));
    nc.publish(`$JS.API.DIRECT.GET.KV_${bucket}`, JSON.stringify({ multi_last: [...waiting.keys()] }), {
      reply: inbox + token,
    });
    return promises;
  };
}
