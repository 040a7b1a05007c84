// Below the ranges from which Linux (32768 up) and macOS (49152 up) pick the ports of outgoing connections: a
// client that keeps dialling a dead server can be given that server's own port otherwise.
const first = 20_000;
const count = 12_000;
const perProcess = 32;

let used = 0;

/**
 * Proposes a port that this process has not used yet, also for what a server's configuration listens on. Processes with neighbouring ids begin in different
 * places. Whether the port is free shows when the server binds it.
 */
export function nextPort(): number {
  const offset = process.pid * perProcess + used++;
  return first + (offset % count);
}
