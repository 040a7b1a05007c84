import { type ConnectionOptions, connect, type NatsConnection } from "@nats-io/transport-node";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { SessionAdmin } from "nats-session-store/admin";
import { UnavailableError, UsageError } from "../exit.js";
import type { Values } from "../input/arguments.js";
import { encryptionIn } from "../input/secrets.js";
import { durationIn } from "../input/units.js";
import { connectionSettings, connectOptions } from "./connect-options.js";

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
    const settings = connectionSettings(values, env);
    this.#nats = connectOptions(settings, timeout);
    this.options = {
      bucket: values.text("bucket"),
      domain: settings.domain,
      apiPrefix: settings.apiPrefix,
      shards: values.wholeNumber("shards", 1, 64),
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

  /** Name of the bucket in quotes, with the domain or API prefix where one is given, for messages. */
  get title(): string {
    const { domain, apiPrefix, shards = 1 } = this.options;
    const name = shards === 1 ? `"${this.bucket}"` : `"${this.bucket}" in ${shards} shards`;
    if (domain !== undefined) return `${name} in the domain "${domain}"`;
    return apiPrefix === undefined ? name : `${name} behind the API prefix "${apiPrefix}"`;
  }

  /** The bucket, with the prefix where there is one, for messages. */
  get place(): string {
    const { prefix } = this.options;
    return `the bucket ${this.title}${prefix === undefined ? "" : ` under "${prefix}"`}`;
  }

  /** Where JetStream is, and how long it may take to answer (ms), for what is no bucket of sessions. */
  get api(): Pick<SessionStoreOptions, "domain" | "apiPrefix" | "timeout"> {
    const { domain, apiPrefix, timeout } = this.options;
    return { domain, apiPrefix, timeout };
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
