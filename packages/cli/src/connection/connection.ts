import { type ConnectionOptions, connect, type NatsConnection } from "@nats-io/transport-node";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { SessionAdmin } from "nats-session-store/admin";
import { UnavailableError, UsageError } from "../exit.js";
import type { Values } from "../input/arguments.js";
import { encryptionIn } from "../input/secrets.js";
import { durationIn } from "../input/units.js";
import { connectionSettings, connectOptions } from "./connect-options.js";
import type { NatsContext } from "./nats-context.js";

const TIMEOUT = 5000;

/** What says where sessions lie. */
type Place = Pick<SessionStoreOptions, "bucket" | "prefix" | "shards" | "domain" | "apiPrefix">;

/** One connection to NATS, and the stores on it, which open themselves. */
export class Connection {
  readonly options: SessionStoreOptions;
  readonly #settings: NatsContext;
  readonly #nats: ConnectionOptions;
  readonly #opened: { close(): Promise<void> }[] = [];
  #connecting: Promise<NatsConnection> | undefined;
  #nc: NatsConnection | undefined;

  /** @throws UsageError for options that are wrong; nothing is connected yet */
  constructor(values: Values, env: NodeJS.ProcessEnv, prefixOption = "prefix") {
    const timeout = durationIn(values, "timeout") ?? TIMEOUT;
    const settings = connectionSettings(values, env);
    this.#settings = settings;
    this.#nats = connectOptions(settings, timeout);
    this.options = {
      bucket: values.text("bucket"),
      domain: settings.domain,
      apiPrefix: settings.apiPrefix,
      shards: values.wholeNumber("shards", 1, 64),
      prefix: values.text(prefixOption),
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
    return titleOf(this.options);
  }

  /** As `title`, of one of several buckets. */
  titleOfOne(bucket = this.bucket): string {
    return titleOf({ ...this.options, bucket, shards: 1 });
  }

  /** The bucket, with the prefix where there is one, for messages. */
  get place(): string {
    return placeOf(this.options);
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

  /**
   * Another bucket, on another server where a URL is given. What signs in here signs in there, unless the URL says
   * who does. Without a domain and an API prefix it is in the same JetStream.
   */
  other(
    url: string | undefined,
    { bucket = this.bucket, prefix, shards = 1, ...jetStream }: Place,
  ): { admin: SessionAdmin; title: string; close(): Promise<void> } {
    const isElsewhere = jetStream.domain !== undefined || jetStream.apiPrefix !== undefined;
    const options = { ...this.options, bucket, prefix, shards, ...(isElsewhere ? jetStream : {}) };
    if (url === undefined) {
      if (placeOf(options) === this.place)
        throw new UsageError("Expected another bucket, or another prefix, than sessions are copied to");
      const admin = checked(() => new SessionAdmin(this.#connect(), options));
      return { admin, title: placeOf(options), close: () => admin.close() };
    }
    const { username } = new URL(url);
    const { user: _u, password: _p, token: _t, creds: _c, nkey: _n, ...open } = this.#settings;
    const nats = connectOptions(
      { ...(username === "" ? this.#settings : open), url },
      this.options.timeout ?? TIMEOUT,
    );
    const connecting = connect(nats);
    const admin = checked(() => new SessionAdmin(connecting, options));
    const close = async () => {
      await admin.close();
      await connecting.then((nc) => nc.close()).catch(() => {});
    };
    return { admin, title: `${placeOf(options)} on ${[nats.servers].flat().join(", ")}`, close };
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

/** Name of a bucket in quotes, or what the names of several begin with, and in which JetStream it is. */
function titleOf({ bucket = "sessions", domain, apiPrefix, shards = 1 }: Place): string {
  const name = shards === 1 ? `"${bucket}"` : `"${bucket}" in ${shards} shards`;
  if (domain !== undefined) return `${name} in the domain "${domain}"`;
  return apiPrefix === undefined ? name : `${name} behind the API prefix "${apiPrefix}"`;
}

function placeOf(place: Place): string {
  const { prefix } = place;
  return `the bucket ${titleOf(place)}${prefix === undefined ? "" : ` under "${prefix}"`}`;
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
