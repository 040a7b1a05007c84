import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { fill } from "./sessions.mjs";

const MB = 2 ** 20;

/** How often the heap is looked at during a listing, in sessions. */
const LOOK = 10_000;

/** Lists and counts the sessions of a bucket; times in ms. */
export async function open({ url, bucket, sessions }) {
  const nc = await connect({ servers: url });
  const store = await SessionStore.open(nc, { bucket, timeout: 10_000 });

  const timed = async (action) => {
    const start = performance.now();
    const count = await action();
    if (count !== sessions) throw new Error(`Expected ${sessions} sessions, got ${count}`);
    return performance.now() - start;
  };
  const lengthOf = async (list) => {
    let length = 0;
    for await (const _ of list) length++;
    return length;
  };

  return {
    fill: async () => {
      await fill(store, sessions);
    },
    /** Mean time of a `count()`, one after the other. */
    count: async (times) => {
      let sum = 0;
      for (let i = 0; i < times; i++) sum += await timed(() => store.count());
      return sum / times;
    },
    exact: () => timed(() => store.count({ exact: true })),
    all: () => timed(() => lengthOf(store.all())),
    handles: () => timed(() => lengthOf(store.handles())),

    /** By how many MB the heap is larger when `all()` has been iterated, and when it was largest meanwhile. */
    growth: async () => {
      const before = used();
      let most = before;
      let count = 0;
      for await (const _ of store.all()) if (++count % LOOK === 0) most = Math.max(most, used());
      return { after: (used() - before) / MB, most: (most - before) / MB };
    },
    close: () => nc.close(),
  };
}

/** What the heap and the buffers outside of it take when everything unused is gone. */
function used() {
  globalThis.gc();
  globalThis.gc();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}
