import { jetstream } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";
import { EXPECTED, headersOf } from "./capture.mjs";
import { plannedWrites } from "./planned-writes.mjs";

const TTL = "Nats-TTL";

/**
 * `js.publish` of the official client with the bytes that `save` sends: it sets the expected revision and the
 * TTL itself, the other headers are made beforehand.
 */
export async function open({ url, bucket, sessions }) {
  const plan = await plannedWrites(url, bucket, sessions);
  const nc = await connect({ servers: url });
  const js = jetstream(nc);
  const ttl = plan.write(0).headers.find(([name]) => name === TTL)?.[1];
  let first = 0;
  let headers = [];
  return {
    before: (from, count) => {
      first = from;
      headers = Array.from({ length: count }, (_, i) =>
        headersOf(plan.write(from + i).headers.filter(([name]) => name !== EXPECTED && name !== TTL)),
      );
    },
    operation: (index) => {
      const { subject, payload } = plan.write(index);
      const expect = { lastSubjectSequence: plan.expected(index) };
      return js.publish(subject, payload, { headers: headers[index - first], expect, ttl });
    },
    after: plan.check,
    close: () => Promise.all([nc.close(), plan.close()]),
  };
}
