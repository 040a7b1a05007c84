import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";
import { EXPECTED, tapped } from "./capture.mjs";

const ID = "the session that everybody changes";

/** Clients with a connection each that count, each in its own key of one session, as requests of one browser would. */
export async function open({ url, bucket, first, clients }) {
  const connections = await Promise.all(Array.from({ length: clients }, () => connect({ servers: url })));
  let writes = 0;
  const count = ({ headers }) => {
    if (headers.some(([name]) => name === EXPECTED)) writes++;
  };
  const stores = await Promise.all(connections.map((nc) => SessionStore.open(tapped(nc, count), { bucket })));

  return {
    begin: async (all) => {
      await stores[0].save(ID, Object.fromEntries(Array.from({ length: all }, (_, i) => [`client${i}`, 0])));
    },

    /** Each client adds one as often as that; gives how it went. */
    run: async (increments) => {
      writes = 0;
      const failures = {};
      await Promise.all(
        stores.map(async (store, index) => {
          for (let i = 0; i < increments; i++) {
            try {
              const record = await store.load(ID);
              record.data[`client${first + index}`]++;
              await store.save(ID, record.data, { record });
            } catch (error) {
              const why = error.code ?? String(error);
              failures[why] = (failures[why] ?? 0) + 1;
            }
          }
        }),
      );
      const saves = clients * increments;
      return { conflicts: writes - saves, failures };
    },

    /** How many increments are there. */
    present: async () => {
      const { data } = await stores[0].load(ID);
      return Object.values(data).reduce((sum, count) => sum + count, 0);
    },
    close: () => Promise.all(connections.map((nc) => nc.close())),
  };
}
