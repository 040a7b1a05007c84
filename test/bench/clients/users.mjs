import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { inFlight } from "../harness/in-flight.mjs";
import { idOf, sessionData } from "./sessions.mjs";

const OWN = "somebody with many devices";

/** Lists a user's sessions among those of others, loads others, writes and follows changes; times in ms. */
export async function open({ url, bucket, sessions, own, cache = false }) {
  const nc = await connect({ servers: url });
  const user = ({ user }) => String(user.id);
  const store = await SessionStore.open(nc, { bucket, timeout: 10_000, user, cache });
  const told = new Map();

  return {
    fill: async () => {
      await inFlight(128, sessions, (index) => store.save(idOf(index), sessionData(index)));
      const data = sessionData(0);
      const mine = { ...data, user: { ...data.user, id: OWN } };
      await inFlight(own, own, (index) => store.save(`own ${index}`, mine));
    },

    /** Brings the user's sessions into the near cache. */
    loadOwn: async () => {
      for (let index = 0; index < own; index++) await store.load(`own ${index}`);
    },

    /** Times of each `listByUser` and of each `load`, in turn. */
    list: async (times) => {
      const result = { list: [], load: [] };
      for (let i = 0; i < times; i++) {
        const start = now();
        let count = 0;
        for await (const _ of store.listByUser(OWN)) count++;
        const listed = now();
        const record = await store.load(idOf(i % sessions));
        result.load.push(now() - listed);
        result.list.push(listed - start);
        if (count !== own || !record) throw new Error(`Expected ${own} sessions and a record, got ${count}`);
      }
      return result;
    },

    /** Follows the changes; `told` gives when each revision was told. */
    follow: async () => {
      const changes = store.changes();
      await changes.ready;
      void (async () => {
        for await (const { revision } of changes) told.set(revision, now());
      })();
    },
    told: async (revision) => {
      while (!told.has(revision)) await new Promise((resolve) => setTimeout(resolve, 10));
      return [...told];
    },

    /** Saves, one after the other; gives the revision of each and when its save began. */
    save: async (times) => {
      const saved = [];
      let record;
      for (let i = 0; i < times; i++) {
        const at = now();
        ({ record } = await store.save("told", sessionData(0, i), { record }));
        saved.push([record.revision, at]);
      }
      return saved;
    },
    close: () => nc.close(),
  };
}

/** The machine's clock, which is the same in all processes. */
function now() {
  return Number(process.hrtime.bigint()) / 1e6;
}
