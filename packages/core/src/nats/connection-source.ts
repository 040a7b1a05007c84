import { SessionStoreError, unavailable } from "../errors.js";
import type { NatsConnectionLike, NatsConnectionSource } from "../types.js";
import { isThenable } from "../util/is-thenable.js";
import { now } from "../util/timers.js";
import { within } from "../util/within.js";

/** The connection that a store was given, in whichever form: itself, a promise of it, or a function that connects. */
export class ConnectionSource {
  readonly #connect: (() => unknown) | undefined;
  #connecting: Promise<NatsConnectionLike> | undefined;
  #isSettled = false;
  /** The connection that was given or made last. */
  #nc: NatsConnectionLike | undefined;

  /** @throws TypeError for anything that cannot give a connection */
  constructor(source: NatsConnectionSource) {
    if (typeof source === "function") {
      this.#connect = source;
      return;
    }
    if (!isThenable(source)) connectionIn(source);
    this.#keep(Promise.resolve(source));
  }

  /** Whether a connection that was closed for good can be replaced. */
  get canReconnect(): boolean {
    return this.#connect !== undefined;
  }

  /** Whether no server will ever answer: the given connection was closed, or the promise of one has failed. */
  get isOver(): boolean {
    return !this.canReconnect && this.#isSettled && (this.#nc?.isClosed() ?? true);
  }

  /**
   * The connection. A function is called again where the last call failed, or its connection was closed for good.
   * @throws `ERR_SESSION_UNAVAILABLE` with the cause; TypeError for what is no connection
   */
  async connect(deadline: number): Promise<NatsConnectionLike> {
    const before = this.#connecting;
    const nc = await this.#await(deadline);
    if (!this.#connect || !nc.isClosed()) return nc;
    // Several buckets wait for a connection at a time: what another one has begun counts for all.
    if (this.#connecting === before) this.#connecting = undefined;
    return this.#await(deadline);
  }

  async #await(deadline: number): Promise<NatsConnectionLike> {
    const connecting = this.#connecting ?? this.#call();
    const ms = Math.round(deadline - now());
    try {
      return connectionIn(
        await within(deadline, connecting, () => unavailable(`no connection to NATS within ${ms} ms`)),
      );
    } catch (error) {
      // A call that is still under way is kept: its connection must be used or it would leak.
      if (this.#connect && this.#isSettled) this.#connecting = undefined;
      if (error instanceof SessionStoreError || error instanceof TypeError) throw error;
      throw unavailable("connecting to NATS failed", error);
    }
  }

  #call(): Promise<NatsConnectionLike> {
    const connect = this.#connect;
    // What the function throws at once is a failed connection like any other.
    return this.#keep((async () => connect?.() as NatsConnectionLike)());
  }

  #keep(connecting: Promise<NatsConnectionLike>): Promise<NatsConnectionLike> {
    this.#connecting = connecting;
    this.#isSettled = false;
    const settled = (nc?: NatsConnectionLike) => {
      if (this.#connecting !== connecting) return;
      this.#isSettled = true;
      this.#nc = nc;
    };
    connecting.then(settled, () => settled());
    return connecting;
  }
}

function connectionIn(value: unknown): NatsConnectionLike {
  const { publish, status } = (value ?? {}) as Partial<NatsConnectionLike>;
  if (typeof publish === "function" && typeof status === "function") return value as NatsConnectionLike;
  throw new TypeError(
    "Expected a NATS connection, as `connect()` of @nats-io/transport-node gives it, a promise of one, or a function that connects",
  );
}
