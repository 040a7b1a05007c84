import { execFile } from "node:child_process";
import { once } from "node:events";
import { connect } from "node:net";
import { promisify } from "node:util";
import { findProgram, freePort, runProgram, temporaryFolder } from "./program.mjs";

const install = "`apt-get install -y --no-install-recommends redis-server`, or `brew install redis`";

/**
 * A Redis without snapshots: with the append-only file as it comes (synced each second), or with nothing on disk
 * at all.
 *
 * @param {{ appendOnly: boolean }} options
 */
export async function startRedis({ appendOnly }) {
  const program = findProgram("redis-server", { install });
  const { stdout } = await promisify(execFile)(program, ["--version"]);
  const port = await freePort();
  const folder = await temporaryFolder("redis");
  const settings = { port, bind: "127.0.0.1", dir: folder, save: "", appendonly: appendOnly ? "yes" : "no" };
  return runProgram({
    program,
    args: Object.entries(settings).flatMap(([name, value]) => [`--${name}`, `${value}`]),
    folder,
    url: `redis://127.0.0.1:${port}`,
    version: /v=(\S+)/.exec(stdout)?.[1] ?? stdout.trim(),
    answers: () => ping(port),
  });
}

/** Rejects while nobody listens, and while the data are being loaded. */
async function ping(port) {
  const socket = connect(port, "127.0.0.1");
  try {
    await once(socket, "connect");
    socket.write("PING\r\n");
    const [answer] = await once(socket, "data");
    if (!String(answer).startsWith("+PONG")) throw new Error(String(answer));
  } finally {
    socket.destroy();
  }
}
