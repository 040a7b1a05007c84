import type { NatsConnectionLike, NatsConnectionSource } from "../types.js";
import { ConnectionSource } from "./connection-source.js";
import { Mux } from "./mux.js";
import { type ServerAddress, serverAddressIn } from "./server-address.js";

/** The connection of a store, and the requests over it: all its buckets share them. */
export class Link {
  readonly #source: ConnectionSource;
  readonly #timeout: number;
  #nc: NatsConnectionLike | undefined;
  /** Where the connection led to when it was last asked. */
  #address: { readonly of: string; readonly is: ServerAddress } | undefined;
  #mux: Mux | undefined;

  /** @throws TypeError for anything that cannot give a connection */
  constructor(source: NatsConnectionSource, timeout: number) {
    this.#source = new ConnectionSource(source);
    this.#timeout = timeout;
  }

  /** Whether a connection that was closed for good can be replaced. */
  get canReconnect(): boolean {
    return this.#source.canReconnect;
  }

  /** Whether no server will ever answer, because the connection is closed and the store cannot make another. */
  get isOver(): boolean {
    return this.#source.isOver;
  }

  /** When the server last answered, in ms of `now()`. */
  get repliedAt(): number {
    return this.#mux?.repliedAt ?? Number.NEGATIVE_INFINITY;
  }

  /** The server that the connection leads to, where there is one and the client tells. */
  get server(): ServerAddress | undefined {
    const server = this.#nc?.getServer?.();
    if (!server) return undefined;
    // Telemetry asks for it with each operation.
    if (this.#address?.of !== server) this.#address = { of: server, is: serverAddressIn(server) };
    return this.#address.is;
  }

  /** @throws `ERR_SESSION_UNAVAILABLE` with the cause; TypeError for what is no connection */
  connect(deadline: number): Promise<NatsConnectionLike> {
    return this.#source.connect(deadline);
  }

  /**
   * Sends requests over a connection; those over the one before are abandoned.
   * @throws `ERR_SESSION_UNAVAILABLE` where the connection is closed or draining
   */
  muxOn(nc: NatsConnectionLike): Mux {
    if (this.#mux && this.#nc === nc) return this.#mux;
    const mux = new Mux(nc, this.#timeout);
    this.#mux?.abandon();
    this.#nc = nc;
    this.#mux = mux;
    return mux;
  }

  /** Ends the subscription to replies; the NATS connection is left alone. */
  close(): void {
    this.#mux?.close();
  }
}
