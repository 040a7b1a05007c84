import { type ConnectionOptions, connect, type NatsConnection } from "@nats-io/transport-node";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { SessionAdmin } from "nats-session-store/admin";
import { UnavailableError, UsageError } from "../exit.js";
import type { Values } from "../input/arguments.js";
import { encryptionIn } from "../input/secrets.js";
import { durationIn } from "../input/units.js";
import { connectOptions } from "./connect-options.js";

const TIMEOUT = 5000;

/** One connection to NATS, and the stores on it, which open themselves. */
export class Connection {
  readonly options: SessionStoreOptions;
  readonly #nats: ConnectionOptions;
  readonly #opened: { close(): Promise<void> }[] = [];
  #connecting: Promise<NatsConnection> | undefined;
  #nc: NatsConnection | undefined;

  /** @throws UsageError for options that are wrong; nothing is connected yet */
  constructor(values: Values, env: NodeJS.ProcessEnv) {
    const timeout = durationIn(values, "timeout") ?? TIMEOUT;
    this.#nats = connectOptions(values, env, timeout);
    this.options = {
      bucket: values.text("bucket"),
      prefix: values.text("prefix"),
      encryption: encryptionIn(values, env),
      timeout,
      createBucket: false,
      // Lets the store list and end by user; which session is whose is in the bucket.
      user: () => undefined,
    };
    // Wrong options are wrong use, before anything is asked.
    checked(() => new SessionAdmin(new Promise<never>(() => {}), this.options));
  }

  /** The servers that it tries, without what the user signs in with. */
  get servers(): string {
    return [this.#nats.servers ?? []].flat().join(", ");
  }

  /** Name of the bucket. */
  get bucket(): string {
    return this.options.bucket ?? "sessions";
  }

  /** Name of the bucket, with the prefix where there is one, for messages. */
  get place(): string {
    const { prefix } = this.options;
    return prefix === undefined
      ? `the bucket "${this.bucket}"`
      : `the bucket "${this.bucket}" under "${prefix}"`;
  }

  /** How long the server may take to answer, in ms. */
  get timeout(): number {
    return this.options.timeout ?? TIMEOUT;
  }

  /** The connection itself. @throws UnavailableError */
  async nats(): Promise<NatsConnection> {
    try {
      return await this.#connect();
    } catch (error) {
      throw new UnavailableError(
        `No connection to NATS: ${(error as Error).message}. Tried: ${this.servers}`,
      );
    }
  }

  store(more: SessionStoreOptions = {}): SessionStore {
    return this.#keep(checked(() => new SessionStore(this.#connect(), { ...this.options, ...more })));
  }

  admin(more: SessionStoreOptions = {}): SessionAdmin {
    return this.#keep(checked(() => new SessionAdmin(this.#connect(), { ...this.options, ...more })));
  }

  async close(): Promise<void> {
    await Promise.all(this.#opened.map((one) => one.close()));
    await this.#nc?.close();
  }

  #connect(): Promise<NatsConnection> {
    if (this.#connecting) return this.#connecting;
    const connecting = connect(this.#nats);
    this.#connecting = connecting;
    connecting.then(
      (nc) => {
        this.#nc = nc;
      },
      // The stores report it.
      () => {},
    );
    return connecting;
  }

  #keep<S extends { close(): Promise<void> }>(store: S): S {
    this.#opened.push(store);
    return store;
  }
}

/** Options that the store does not take are wrong use of this program. */
function checked<S>(make: () => S): S {
  try {
    return make();
  } catch (error) {
    if (error instanceof TypeError) throw new UsageError(error.message);
    throw error;
  }
}
