// Arguments: server, bucket of the locks, name, TTL in ms, bucket of the guarded key. Takes the lock as soon as it
// is free, and writes to the guarded key when it is told to, without looking whether it still has the lock.
import { Kvm } from "@nats-io/kv";
import { writeFenced } from "../fenced.js";
import { Locks } from "../locks.js";
import { connectWorker, onLine, tell } from "./process.js";

const [, , , bucket = "", name = "", ttl, guarded = ""] = process.argv;
const nc = await connectWorker();
const locks = await Locks.open(nc, { bucket });
const kv = await new Kvm(nc).open(guarded);
tell("ready");

const lock = await locks.acquire(name, { ttl: Number(ttl), wait: 60_000 });
if (!lock) throw new Error("The lock was never free");
lock.signal.addEventListener("abort", () => tell(`lost: ${lock.signal.reason.message}`));
onLine(async (line) => {
  if (line === "release") tell(`released ${await lock.release()}`);
  else tell(`written ${await writeFenced(kv, name, lock.fence, line)}`);
});
tell(`taken ${lock.fence}`);
