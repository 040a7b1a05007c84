// Uses every class and closes the connection, but none of them. It calls no process.exit: whatever keeps it alive
// afterwards comes from the classes. Arguments: server, prefix of the buckets.
import { connect } from "@nats-io/transport-node";
import { Config, Discovery, Flags, Locks } from "example-kv-tour";

const [, , servers, prefix] = process.argv;
const nc = await connect({ servers });
const config = await Config.open(nc, { bucket: `${prefix}-config`, defaults: { size: 1 } });
await config.set("size", 2);
const flags = await Flags.open(nc, { bucket: `${prefix}-flags` });
await flags.enable("shop");
const discovery = await Discovery.open(nc, { bucket: `${prefix}-services` });
await discovery.register("mail", "here", { ttl: 60_000 });
const locks = await Locks.open(nc, { bucket: `${prefix}-locks` });
const lock = await locks.acquire("job", { ttl: 60_000 });
await nc.close();
console.log(config.get("size"), flags.isEnabled("shop"), discovery.list().length, lock.held);
