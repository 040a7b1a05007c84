// Arguments: server, bucket, service, id, TTL in ms. An instance of a service that answers HTTP with its id.
import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Discovery } from "../discovery.js";
import { connectWorker, onLine, tell } from "./process.js";

const [, , , bucket = "", service = "", id = "", ttl] = process.argv;
const server = createServer((_request, response) => response.end(id)).listen(0, "127.0.0.1");
await once(server, "listening");
const address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;

const nc = await connectWorker();
const discovery = await Discovery.open(nc, { bucket });
await discovery.register(service, address, { id, ttl: Number(ttl) });
onLine(async () => {
  await discovery.close();
  tell("closed");
});
tell("ready");
