import { createInbox } from "@nats-io/nats-core";
import { connect } from "@nats-io/transport-node";
import { EXPECTED, headersOf } from "./capture.mjs";
import { plannedWrites } from "./planned-writes.mjs";

/**
 * The bytes that `save` sends, with the expected revision or without, through as little as it takes to know that
 * they have arrived: what the check costs the client library and the server alone.
 */
export async function open({ url, bucket, sessions, checked }) {
  const plan = await plannedWrites(url, bucket, sessions);
  const nc = await connect({ servers: url });
  const inbox = `${createInbox()}.`;
  const pending = new Map();
  nc.subscribe(`${inbox}*`, {
    callback: (_error, { subject }) => {
      const token = Number(subject.slice(inbox.length));
      pending.get(token)();
      pending.delete(token);
    },
  });
  let first = 0;
  let headers = [];
  return {
    before: (from, count) => {
      first = from;
      headers = Array.from({ length: count }, (_, i) => {
        const list = plan.write(from + i).headers;
        return checked
          ? headersOf(list, { [EXPECTED]: String(plan.expected(from + i)) })
          : headersOf(list.filter(([name]) => name !== EXPECTED));
      });
    },
    operation: (index) =>
      new Promise((resolve) => {
        const { subject, payload } = plan.write(index);
        pending.set(index, resolve);
        nc.publish(subject, payload, { headers: headers[index - first], reply: inbox + index });
      }),
    after: plan.check,
    close: () => Promise.all([nc.close(), plan.close()]),
  };
}
