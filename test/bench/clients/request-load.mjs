import { connect } from "@nats-io/transport-node";
import { readRequests } from "./read-requests.mjs";

/** `nc.request` with the bytes that `load` sends, to get the bytes that it gets; nothing is done with them. */
export async function open({ url, bucket, sessions, connection }) {
  const requests = await readRequests(url, bucket, sessions);
  const nc = await connect({ servers: url, ...connection });
  return {
    operation: async (index) => {
      const { subject, payload } = requests[index % sessions];
      const { data } = await nc.request(subject, payload, { timeout: 2000 });
      if (data.length === 0) throw new Error("A session is missing");
    },
    close: () => nc.close(),
  };
}
