// Signs a user in as often as it is told, all at once: `node sign-in.mjs <url> <options as JSON>`. It waits for a
// line of input before it begins, and answers with a line: the outcomes as JSON.
import { once } from "node:events";
import { connect } from "@nats-io/transport-node";
import { SessionStore } from "nats-session-store";

const [url, text] = process.argv.slice(2);
const { count, name, start, ...options } = JSON.parse(text);
const nc = await connect({ servers: url });
const store = await SessionStore.open(nc, { user: (data) => data.user, timeout: 30_000, ...options });
process.send("ready");
await once(process, "message");
const outcomes = await Promise.all(
  Array.from({ length: count }, async (_, i) => {
    try {
      return (await store.save(`${start}-${i}`, { user: name })).outcome;
    } catch (error) {
      return error.code ?? String(error);
    }
  }),
);
process.send(outcomes);
await once(process, "message");
await store.close();
await nc.close();
process.disconnect();
