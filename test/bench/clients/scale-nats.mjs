import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { inFlight } from "../harness/in-flight.mjs";
import { idOf, sessionData } from "./sessions.mjs";

/** A step with which operations go through the sessions, so that they come from everywhere in the bucket. */
const STRIDE = 7919;

/** Sessions that become more and more, and how long single operations take among them. */
export async function open({ url, bucket, timeout, shards }) {
  const nc = await connect({ servers: url, maxReconnectAttempts: -1, reconnectTimeWait: 20 });
  const store = await SessionStore.open(nc, { bucket, timeout, shards, user: ({ name }) => name });
  let sessions = 0;
  let next = 0;
  let signedIn = 0;
  const anyId = () => idOf((next++ * STRIDE) % sessions);
  const existing = async () => {
    const id = anyId();
    const record = await store.load(id);
    if (!record) throw new Error("A session is missing");
    return { id, record };
  };

  const operations = {
    load: () => existing(),
    save: ({ id, record }) => store.save(id, { ...record.data, visits: next }, { record }),
    count: async () => {
      const count = await store.count();
      // Each user who signed in has a session and an index entry.
      const expected = sessions + 2 * signedIn;
      if (count !== expected) throw new Error(`Expected ${expected} entries, got ${count}`);
    },
    signIn: async () => {
      const number = signedIn++;
      await store.save(idOf(-1 - number), { ...sessionData(number), name: `user ${number}` });
    },
    listByUser: async () => {
      for await (const { data } of store.listByUser(`user ${next++ % signedIn}`)) if (data.name) return;
      throw new Error("A user's session is missing");
    },
  };

  return {
    /** Until there are so many; gives sessions per second. */
    fillTo: async (size) => {
      const first = sessions;
      const start = performance.now();
      await inFlight(256, size - first, (index) =>
        store.save(idOf(first + index), sessionData(first + index)),
      );
      sessions = size;
      return ((size - first) / (performance.now() - start)) * 1000;
    },

    /** Median time in ms of an operation, one after the other. */
    time: async (operation, times) => {
      const list = new Float64Array(times);
      for (let i = 0; i < times; i++) {
        const prepared = operation === "save" ? await existing() : undefined;
        const start = performance.now();
        await operations[operation](prepared);
        list[i] = performance.now() - start;
      }
      return list.sort()[Math.floor(times / 2)];
    },

    /** Resolves when the server is there again, with every session. */
    isBack: async () => {
      await existing();
      await operations.count();
    },
    close: () => nc.close(),
  };
}
