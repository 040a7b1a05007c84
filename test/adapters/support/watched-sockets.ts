import type { Server, Socket } from "node:net";
import { expect } from "vitest";

/** The server's side of all connections: how often each is written to, and whether any holds something back. */
export class WatchedSockets {
  readonly #sockets: Socket[] = [];
  /** Writes to the network: a response that is written once is one TCP segment, or one TLS record. */
  writes = 0;

  /** @param event when the socket that carries the responses is there: `secureConnection` with TLS */
  constructor(server: Server, event: "connection" | "secureConnection" = "connection") {
    server.on(event, (socket: Socket) => {
      this.#sockets.push(socket);
      for (const name of ["_write", "_writev"] as const) {
        const write = socket[name] as ((...args: unknown[]) => void) | undefined;
        const counted = (...args: unknown[]) => {
          this.writes++;
          write?.apply(socket, args);
        };
        Object.assign(socket, { [name]: counted });
      }
    });
  }

  get count(): number {
    return this.#sockets.length;
  }

  get open(): number {
    return this.#sockets.filter(({ destroyed }) => !destroyed).length;
  }

  /** Fails where a connection is still corked, or has not sent everything. */
  expectReleased(): void {
    const held = ({ writableCorked, writableLength }: Socket) => ({ writableCorked, writableLength });
    const open = this.#sockets.filter(({ destroyed }) => !destroyed);
    expect(open.map(held)).toEqual(open.map(() => ({ writableCorked: 0, writableLength: 0 })));
    // A connection that was given up must not have been left corked either.
    expect(this.#sockets.map(({ writableCorked }) => writableCorked)).toEqual(this.#sockets.map(() => 0));
  }
}
