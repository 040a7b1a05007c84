import { randomUUID } from "node:crypto";
import { type JetStreamClient, jetstream } from "@nats-io/jetstream";
import type { KV } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { type Entry, Mirror } from "./mirror.js";
import { openTtlBucket, serverTtl } from "./ttl.js";

export interface DiscoveryOptions {
  /** Name of the bucket, created where it is missing. Default: `services`. */
  bucket?: string;
  /** Is told when a registration cannot be renewed, and of entries that are none. Default: a process warning. */
  onError?: (error: Error) => void;
}

export interface RegisterOptions {
  /** Name of the instance, used once. Default: a random one. */
  id?: string;
  /**
   * How long the entry outlives its process, in ms, whole seconds from 1000 on. It is renewed three times in
   * this time. The server removes what is due within 1 to 2 s. Default: 10 000.
   */
  ttl?: number;
}

/** One running copy of a service. */
export interface Instance {
  readonly service: string;
  readonly id: string;
  /** How to reach it, as it was registered. */
  readonly address: string;
}

interface Registration {
  readonly timer: NodeJS.Timeout;
  /** Renewal under way, or the last one. */
  renewal: Promise<void>;
}

/**
 * Finds the running instances of services. An instance is a key `service.id` with a TTL, which its process
 * renews as long as it lives; clients hold a local copy of all of them.
 */
export class Discovery {
  readonly #js: JetStreamClient;
  readonly #kv: KV;
  readonly #bucket: string;
  readonly #report: (error: Error) => void;
  readonly #own = new Map<string, Registration>();
  readonly #instances = new Map<string, Instance>();
  readonly #listeners = new Set<() => void>();
  #mirror: Mirror | undefined;
  #turn = Math.floor(Math.random() * 1000);

  private constructor(nc: NatsConnection, kv: KV, bucket: string, options: DiscoveryOptions) {
    this.#js = jetstream(nc);
    this.#kv = kv;
    this.#bucket = bucket;
    this.#report = options.onError ?? ((error) => process.emitWarning(error));
  }

  /** Resolves once all instances are known. Needs a server from 2.11 on. The connection stays the caller's. */
  static async open(nc: NatsConnection, options: DiscoveryOptions = {}): Promise<Discovery> {
    const bucket = options.bucket ?? "services";
    const discovery = new Discovery(nc, await openTtlBucket(nc, bucket), bucket, options);
    discovery.#mirror = await Mirror.open(nc, {
      bucket,
      onEntry: (key, entry) => discovery.#take(key, entry),
      onError: discovery.#report,
    });
    return discovery;
  }

  /**
   * Makes an instance of a service known and keeps it so until `deregister`, `close` or the end of the process.
   * @throws TypeError for a bad name or TTL; an error of the server where the id is taken
   */
  async register(service: string, address: string, options: RegisterOptions = {}): Promise<Instance> {
    if (!this.#mirror) throw new Error("The discovery is closed");
    const { id = randomUUID(), ttl = 10_000 } = options;
    const key = keyOf({ service, id });
    if (typeof address !== "string") throw new TypeError(`Expected an address, got ${address}`);
    const value = JSON.stringify({ address });
    const renew = async () => {
      try {
        // kv.put() takes no TTL, and a write without one would stay for ever. This is what it does, with a TTL.
        // Nobody else writes this key, so no revision is expected: an entry that has expired comes back.
        const timeout = Math.ceil(ttl / 3);
        await this.#js.publish(`$KV.${this.#bucket}.${key}`, value, { ttl: serverTtl(ttl), timeout });
      } catch (cause) {
        this.#report(new Error(`Could not renew "${key}": ${(cause as Error).message}`, { cause }));
      }
    };
    const revision = await this.#kv.create(key, value, serverTtl(ttl));
    const timer = setInterval(() => {
      registration.renewal = registration.renewal.then(renew);
    }, ttl / 3).unref();
    const registration: Registration = { timer, renewal: Promise.resolve() };
    this.#own.set(key, registration);
    this.#mirror?.apply(key, { value: new TextEncoder().encode(value), revision });
    return { service, id, address };
  }

  /** Takes an instance out: at once, and for good if this process has registered it. */
  async deregister(instance: Pick<Instance, "service" | "id">): Promise<void> {
    const key = keyOf(instance);
    const own = this.#own.get(key);
    this.#own.delete(key);
    clearInterval(own?.timer);
    await own?.renewal; // else it could come after the deletion
    const known = this.#mirror?.get(key);
    await this.#kv.delete(key);
    this.#mirror?.applyDelete(key, known);
  }

  /** The instances of a service, or of all, sorted by service and id. */
  list(service?: string): Instance[] {
    const keys = [...this.#instances.keys()].sort();
    return keys
      .map((key) => this.#instances.get(key) as Instance)
      .filter((instance) => service === undefined || instance.service === service);
  }

  /**
   * An instance to use, each in turn; `undefined` where there is none. One that was killed is still given out
   * until its TTL has passed: where a call fails, pick another.
   */
  pick(service: string): Instance | undefined {
    const instances = this.list(service);
    return instances[this.#turn++ % instances.length];
  }

  /** Calls the listener when instances come or go. @returns a function that ends this */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Deregisters the instances of this process and ends the watch. */
  async close(): Promise<void> {
    const mirror = this.#mirror;
    this.#mirror = undefined;
    this.#listeners.clear();
    const own = [...this.#own.keys()].map((key) => this.deregister(instanceOf(key)));
    const results = await Promise.allSettled([...own, mirror?.close()]);
    for (const result of results) if (result.status === "rejected") throw result.reason;
  }

  #take(key: string, { value }: Entry): void {
    try {
      if (value === undefined) this.#instances.delete(key);
      else this.#instances.set(key, { ...instanceOf(key), address: addressOf(value) });
    } catch (cause) {
      this.#report(new Error(`"${key}" is not an instance: ${(cause as Error).message}`, { cause }));
      return;
    }
    for (const listener of this.#listeners) {
      try {
        listener();
      } catch (error) {
        this.#report(error as Error);
      }
    }
  }
}

function keyOf({ service, id }: Pick<Instance, "service" | "id">): string {
  for (const name of [service, id]) {
    if (!/^[-\w]+$/.test(name)) {
      throw new TypeError(`Expected a name of letters, digits, - and _, got ${JSON.stringify(name)}`);
    }
  }
  return `${service}.${id}`;
}

function instanceOf(key: string): Pick<Instance, "service" | "id"> {
  const [service, id, more] = key.split(".");
  if (!service || !id || more) throw new Error("expected a key of the form service.id");
  return { service, id };
}

function addressOf(value: Uint8Array): string {
  const { address } = JSON.parse(new TextDecoder().decode(value));
  if (typeof address !== "string") throw new Error("it has no address");
  return address;
}
