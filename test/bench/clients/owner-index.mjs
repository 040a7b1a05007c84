import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { inFlight } from "../harness/in-flight.mjs";
import { fill, idOf } from "./sessions.mjs";

/** An index of a user's sessions, as subjects `u.<owner>.<handle>`, beside many of other users. */
export async function open({ url, bucket, sessions, owned, how }) {
  const nc = await connect({ servers: url });
  const store = await SessionStore.open(nc, { bucket, timeout: 10_000 });
  const filter = `$KV.${bucket}.u.owner0.*`;
  const inbox = `_INBOX.${bucket}.${how}`;
  const request = (subject, payload) => nc.request(subject, JSON.stringify(payload), { timeout: 10_000 });
  const ways = {
    load: async () => ((await store.load(idOf(0))) === null ? 0 : owned),
    info: async () => {
      const info = (await request(`$JS.API.STREAM.INFO.KV_${bucket}`, { subjects_filter: filter })).json();
      return Object.keys(info.state.subjects).length;
    },
    multi: () =>
      new Promise((resolve) => {
        let count = 0;
        const subscription = nc.subscribe(inbox, {
          callback: (_error, { headers }) => {
            if (headers?.code !== 204) return count++;
            subscription.unsubscribe();
            resolve(count);
          },
        });
        nc.publish(`$JS.API.DIRECT.GET.KV_${bucket}`, JSON.stringify({ multi_last: [filter] }), {
          reply: inbox,
        });
      }),
  };
  return {
    fill: async () => {
      await fill(store, 1);
      await inFlight(128, sessions, (index) => {
        const owner = index < owned ? 0 : 1 + Math.floor(index / owned);
        return nc.request(`$KV.${bucket}.u.owner${owner}.${store.handleOf(idOf(index))}`, "", {
          timeout: 10_000,
        });
      });
    },
    operation: async () => {
      if ((await ways[how]()) !== owned) throw new Error("The index is not whole");
    },
    close: () => nc.close(),
  };
}
