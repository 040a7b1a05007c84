import { type Context, deadlineOf, liveSession, type StoredSession } from "./context.js";
import { destroySession } from "./destroy.js";
import { SessionStoreError } from "./errors.js";
import { handleOf, sessionKeyStart } from "./key.js";
import { clearSessions, countLive, type Listed, listEntries, listedSession } from "./listing.js";
import type { ResolvedOptions } from "./options.js";
import { saveSession } from "./save.js";
import { deserialize } from "./serializer.js";
import { StoredRecord } from "./stored-record.js";
import { touchSession } from "./touch.js";
import type {
  CountOptions,
  SaveOptions,
  SaveResult,
  SessionData,
  SessionRecord,
  SessionStore,
  TouchOptions,
  TouchResult,
} from "./types.js";
import type { BucketConnection, Entry } from "./wire/index.js";

/** The session store over an open bucket; what each operation does stands in the file of its name. */
export class NatsSessionStore<T extends object = SessionData> implements SessionStore<T> {
  readonly #context: Context;
  #running = 0;
  #closing: Promise<void> | undefined;
  #idle: (() => void) | undefined;

  constructor(bucket: BucketConnection, options: ResolvedOptions) {
    this.#context = { bucket, options, keyStart: sessionKeyStart(options.prefix) };
  }

  load(id: string): Promise<SessionRecord<T> | null> {
    return this.#run(async () => {
      const handle = handleOf(id);
      const { bucket, keyStart } = this.#context;
      const entry = await bucket.entries.read(keyStart + handle, deadlineOf(this.#context), this.#isLive);
      const session = liveSession(this.#context, entry);
      return session && this.#recordOf(handle, session);
    });
  }

  save(id: string, data: T, options: SaveOptions<T> = {}): Promise<SaveResult<T>> {
    return this.#run(async () => saveSession(this.#context, handleOf(id), data, options));
  }

  touch(id: string, record: SessionRecord<T>, options: TouchOptions = {}): Promise<TouchResult<T>> {
    return this.#run(async () => touchSession(this.#context, handleOf(id), record, options));
  }

  destroy(id: string): Promise<boolean> {
    return this.#run(async () => destroySession(this.#context, handleOf(id)));
  }

  handleOf(id: string): string {
    return handleOf(id);
  }

  async *ids(): AsyncGenerator<string, undefined> {
    for await (const batch of this.#batches()) {
      for (const listed of batch) if (listedSession(this.#context, listed)) yield listed.handle;
    }
  }

  async *all(): AsyncGenerator<SessionRecord<T>, undefined> {
    for await (const batch of this.#batches()) {
      for (const listed of batch) {
        const session = listedSession(this.#context, listed);
        const record = session && (await this.#readable(listed.handle, session));
        if (record) yield record;
      }
    }
  }

  count({ exact = false }: CountOptions = {}): Promise<number> {
    return this.#run(async () =>
      exact ? countLive(this.#context) : (await this.#context.bucket.state()).entries,
    );
  }

  clear(): Promise<void> {
    return this.#run(() => clearSessions(this.#context));
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    this.#context.bucket.close();
  }

  #recordOf(handle: string, session: StoredSession): StoredRecord<T> | Promise<StoredRecord<T>> {
    const data = deserialize<T>(session.value, this.#context.options.serializer);
    const record = (data: T) => new StoredRecord({ handle, data, ...session });
    return data instanceof Promise ? data.then(record) : record(data);
  }

  /** `null` for what cannot be read, which must not hide the others. */
  async #readable(handle: string, session: StoredSession): Promise<StoredRecord<T> | null> {
    try {
      return await this.#recordOf(handle, session);
    } catch {
      return null;
    }
  }

  #isLive = (entry: Entry): boolean => liveSession(this.#context, entry) !== null;

  /** A listing is under way for as long as its reader takes; only its reads count as running. */
  async *#batches(): AsyncGenerator<Listed[]> {
    const batches = listEntries(this.#context);
    for (;;) {
      const { value, done } = await this.#run(() => batches.next());
      if (done) return;
      yield value;
    }
  }

  #run<R>(operation: () => Promise<R>): Promise<R> {
    if (this.#closing) {
      return Promise.reject(new SessionStoreError("ERR_SESSION_CLOSED", "The session store was closed."));
    }
    this.#running++;
    const result = operation();
    result.then(this.#done, this.#done);
    return result;
  }

  #done = (): void => {
    this.#running--;
    if (this.#running === 0) this.#idle?.();
  };
}
