// A callback that throws where nobody handles it: the process must end with that very error.
// Arguments: server URL, bucket.
import { connect } from "@nats-io/transport-node";
import { NatsStore } from "connect-nats";

const [servers, bucket] = process.argv.slice(2);
const store = await NatsStore.open(await connect({ servers }), { bucket });
store.get("ada", () => {
  throw new Error("a mistake of the application");
});
