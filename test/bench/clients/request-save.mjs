import { connect } from "@nats-io/transport-node";
import { EXPECTED, headersOf } from "./capture.mjs";
import { plannedWrites } from "./planned-writes.mjs";

/** `nc.request` with the bytes that `save` sends; the headers are made beforehand, nothing is done with the answer. */
export async function open({ url, bucket, sessions, connection }) {
  const plan = await plannedWrites(url, bucket, sessions);
  const nc = await connect({ servers: url, ...connection });
  let first = 0;
  let headers = [];
  return {
    before: (from, count) => {
      first = from;
      headers = Array.from({ length: count }, (_, i) =>
        headersOf(plan.write(from + i).headers, { [EXPECTED]: String(plan.expected(from + i)) }),
      );
    },
    operation: (index) => {
      const { subject, payload } = plan.write(index);
      return nc.request(subject, payload, { timeout: 2000, headers: headers[index - first] });
    },
    after: plan.check,
    close: () => Promise.all([nc.close(), plan.close()]),
  };
}
