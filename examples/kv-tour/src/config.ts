import { type KV, Kvm, type KvOptions } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";
import { checkKey } from "./key.js";
import { type Entry, Mirror } from "./mirror.js";

export interface ConfigOptions<T> {
  /** Name of the bucket, created where it is missing. Default: `config`. */
  bucket?: string;
  /** What holds for a key that nobody has set. A value must be of the same kind as its default. */
  defaults: T;
  /** Throws where it does not accept a value. Default: accepts all that is of the default's kind. */
  check?: (key: string, value: unknown) => void;
  /** Options of a new bucket, for example `maxValueSize` in bytes or `replicas`. */
  limits?: Partial<KvOptions>;
  /**
   * Is told of stored values that are not accepted (the last good value stays), of listeners that throw, and of
   * a bucket that cannot be followed. Default: a process warning.
   */
  onError?: (error: Error) => void;
}

type Key<T> = keyof T & string;
type Listener<T> = <K extends Key<T>>(key: K, value: T[K]) => void;

/**
 * A configuration that all processes share: typed values with defaults, stored as JSON. Reading is synchronous,
 * from a local copy that a watch keeps fresh, also through a restart of the server.
 */
export class Config<T extends object> {
  readonly #kv: KV;
  readonly #options: ConfigOptions<T>;
  readonly #defaults: ReadonlyMap<string, unknown>;
  readonly #values = new Map<string, unknown>();
  readonly #listeners = new Set<Listener<T>>();
  #mirror: Mirror | undefined;

  private constructor(kv: KV, options: ConfigOptions<T>) {
    this.#kv = kv;
    this.#options = options;
    this.#defaults = new Map(Object.entries(parse(JSON.stringify(options.defaults)) as object));
  }

  /** Resolves once the local copy is complete. The connection stays the caller's. */
  static async open<T extends object>(nc: NatsConnection, options: ConfigOptions<T>): Promise<Config<T>> {
    const bucket = options.bucket ?? "config";
    const config = new Config(await new Kvm(nc).create(bucket, { ...options.limits }), options);
    config.#mirror = await Mirror.open(nc, {
      bucket,
      onEntry: (key, entry) => config.#take(key, entry),
      onError: (error) => config.#report(error),
    });
    return config;
  }

  /** The value of a key, or its default. What is returned is frozen. */
  get<K extends Key<T>>(key: K): T[K] {
    return (this.#values.has(key) ? this.#values.get(key) : this.#defaults.get(key)) as T[K];
  }

  /** All values, the defaults included. */
  getAll(): T {
    return Object.fromEntries([...this.#defaults, ...this.#values]) as T;
  }

  /**
   * Stores a value for all processes. This one has it when the call returns, the others a moment later.
   * @returns its revision
   * @throws TypeError for a key or a value that is not acceptable; Error where the server refuses it, for
   * example because it is too large. Nothing has changed then. Only after a timeout, as during a restart, it may
   * have been stored or not: set it again.
   */
  async set<K extends Key<T>>(key: K, value: T[K]): Promise<number> {
    checkKey(key);
    const text = JSON.stringify(value) as string | undefined;
    if (text === undefined) throw new TypeError(`Expected a JSON value for "${key}", got ${typeof value}`);
    this.#check(key, parse(text));
    const mirror = this.#opened();
    const revision = await this.#write(key, () => this.#kv.put(key, text));
    mirror.apply(key, { value: new TextEncoder().encode(text), revision });
    return revision;
  }

  /** Goes back to the default. @throws as `set` */
  async delete(key: Key<T>): Promise<void> {
    checkKey(key);
    const mirror = this.#opened();
    const known = mirror.get(key);
    await this.#write(key, () => this.#kv.delete(key));
    mirror.applyDelete(key, known);
  }

  /** Calls the listener after each change, wherever it was made. @returns a function that ends this */
  onChange(listener: Listener<T>): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /**
   * Ends the watch and leaves nothing on the server but the values; takes up to 5 s while it is away. `get` goes on
   * with the last known values.
   */
  async close(): Promise<void> {
    const mirror = this.#mirror;
    this.#mirror = undefined;
    this.#listeners.clear();
    await mirror?.close();
  }

  #take(key: string, entry: Entry): void {
    try {
      if (entry.value === undefined) {
        if (!this.#values.delete(key)) return;
      } else {
        const value = parse(new TextDecoder().decode(entry.value));
        this.#check(key, value);
        this.#values.set(key, value);
      }
    } catch (cause) {
      const why = (cause as Error).message;
      this.#report(
        new Error(`"${key}" holds what cannot be used (revision ${entry.revision}): ${why}`, { cause }),
      );
      return;
    }
    for (const listener of this.#listeners) {
      try {
        listener(key as Key<T>, this.get(key as Key<T>));
      } catch (error) {
        this.#report(error as Error);
      }
    }
  }

  #check(key: string, value: unknown): void {
    const [expected, found] = [kind(this.#defaults.get(key)), kind(value)];
    if (this.#defaults.has(key) && expected !== found) {
      throw new TypeError(`Expected "${key}" to be ${expected} as its default is, got ${found}`);
    }
    this.#options.check?.(key, value);
  }

  async #write<R>(key: string, write: () => Promise<R>): Promise<R> {
    try {
      return await write();
    } catch (cause) {
      throw new Error(`Could not write "${key}": ${(cause as Error).message}`, { cause });
    }
  }

  #opened(): Mirror {
    if (!this.#mirror) throw new Error("The configuration is closed");
    return this.#mirror;
  }

  #report(error: Error): void {
    const report = this.#options.onError ?? ((error) => process.emitWarning(error));
    report(error);
  }
}

function kind(value: unknown): string {
  if (value === null) return "null";
  return Array.isArray(value) ? "array" : typeof value;
}

/** The value of a JSON text, frozen: the local copy must not change by accident. */
function parse(text: string): unknown {
  return JSON.parse(text, (_, value) => Object.freeze(value));
}
