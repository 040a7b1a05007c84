import { SessionStoreError } from "./errors.js";
import type { Buckets } from "./nats/buckets.js";
import { OperationTrace } from "./operation-trace.js";
import type { ResolvedOptions } from "./resolve-options.js";
import { type OperationContext, type OperationName, operations } from "./util/channels.js";
import { idleSleep, now } from "./util/timers.js";

/** The parts of a store, beside its buckets, that are opened and closed with it. */
interface Parts {
  isOpen(): boolean;
  open(deadline: number): Promise<void>;
  close(): void;
}

/** @param trace the context of the tracing channel, where anything subscribes */
type Operation<R> = (deadline: number, trace?: OperationContext) => Promise<R>;

/**
 * Runs the operations of a store: each with one deadline, on buckets that are open, and waited for by `close`.
 */
export class Lifecycle {
  readonly #buckets: Buckets;
  readonly #options: ResolvedOptions;
  readonly #parts: Parts;
  #running = 0;
  #closed: Promise<void> | undefined;
  /** Ends what waits for something that `close` does not wait for. */
  readonly #waiting = new Set<() => void>();
  #idle: (() => void) | undefined;

  constructor(buckets: Buckets, options: ResolvedOptions, parts: Parts) {
    this.#buckets = buckets;
    this.#options = options;
    this.#parts = parts;
  }

  get isOpen(): boolean {
    return this.#closed === undefined && this.#buckets.isOpen && this.#parts.isOpen();
  }

  /** @throws `ERR_SESSION_CLOSED` after `close` */
  requireOpen(): void {
    if (this.#closed) throw closed();
  }

  /** When an operation that starts now must be over, in ms of `now()`. */
  deadline(): number {
    return now() + this.#options.timeout;
  }

  /**
   * Runs a public operation. Where anything subscribes to the tracing channel it is reported there.
   * @param id of the session that it is about; of one that is known by its handle, the handle follows
   */
  operate<R>(
    name: OperationName,
    id: string | undefined,
    operation: Operation<R>,
    handle?: string,
    deadline = this.deadline(),
  ): Promise<R> {
    if (!operations.hasSubscribers) return this.run(operation, deadline);
    const trace = new OperationTrace(this.#buckets, name, id, handle);
    return trace.start(() => this.run(operation, deadline, trace));
  }

  /** Runs an operation. One that finds a bucket missing creates it, where it may, and begins again in it. */
  run<R>(operation: Operation<R>, deadline = this.deadline(), trace?: OperationTrace): Promise<R> {
    this.#running++;
    const ended = (trace ? this.#endedWith(trace) : this.#ended) as (result: R) => R;
    const failed = trace ? this.#failedWith(trace) : this.#failed;
    return this.#start(operation, deadline, trace).then(ended, (error) => {
      if (!this.#isMissing(error)) return failed(error);
      return this.#openFirst(operation, deadline, trace, true).then(ended, failed);
    });
  }

  /**
   * Runs a listing, batch by batch. It is under way for as long as its reader takes; only its reads count as running.
   * One that fails before it has given anything may begin again; later it would leave out what follows.
   * @param list is given what makes the deadline of each batch
   */
  async *batches<B>(
    list: (deadline: () => number) => AsyncGenerator<B>,
    name?: OperationName,
  ): AsyncGenerator<B, undefined> {
    const begin = () => list(() => this.deadline());
    let batches = begin();
    let hasGiven = false;
    let failure: unknown;
    const next = async () => {
      if (failure) throw failure;
      try {
        return await batches.next();
      } catch (error) {
        if (hasGiven) failure = error;
        else batches = begin();
        throw error;
      }
    };
    for (;;) {
      const { value, done } = await (name ? this.operate(name, undefined, next) : this.run(next));
      if (done) return;
      hasGiven = true;
      yield value;
    }
  }

  /** Runs a task that no caller waits for; its failure is ignored. */
  background(task: (deadline: number) => Promise<unknown>): void {
    this.#running++;
    const done = () => this.#done();
    const running = (async () => task(this.deadline()))();
    running.then(done, done);
  }

  /** Resolves after `ms`, or when `close` is called. */
  pause(ms: number): Promise<void> {
    return this.#orClosed(idleSleep(ms)).catch(() => {});
  }

  /** Whether `close` was called. */
  get isClosing(): boolean {
    return this.#closed !== undefined;
  }

  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  async #close(): Promise<void> {
    for (const end of this.#waiting) end();
    this.#parts.close();
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve;
      });
    }
    this.#buckets.close();
  }

  #start<R>(operation: Operation<R>, deadline: number, trace: OperationTrace | undefined): Promise<R> {
    if (this.#closed) return Promise.reject(closed());
    if (!this.isOpen) return this.#openFirst(operation, deadline, trace);
    try {
      return operation(deadline, trace?.context);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** @param isMissing whether a bucket is said to be missing */
  async #openFirst<R>(
    operation: Operation<R>,
    deadline: number,
    trace: OperationTrace | undefined,
    isMissing = false,
  ): Promise<R> {
    const opening = this.#buckets.open(deadline, isMissing).then(() => this.#parts.open(deadline));
    await this.#orClosed(opening);
    return operation(deadline, trace?.context);
  }

  /**
   * Waits for a task, but not beyond `close`. A race with one promise for all would hold all that ever waited in memory
   * for as long as that promise is pending.
   */
  #orClosed(task: Promise<unknown>): Promise<void> {
    return new Promise((resolve, reject) => {
      const end = () => reject(closed());
      this.#waiting.add(end);
      const settled = () => this.#waiting.delete(end);
      task.then(settled, settled);
      task.then(() => resolve(), reject);
      if (this.#closed) end();
    });
  }

  #isMissing(error: unknown): boolean {
    return (
      this.#options.createBucket &&
      this.#closed === undefined &&
      error instanceof SessionStoreError &&
      error.code === "ERR_SESSION_BUCKET_MISSING"
    );
  }

  #ended = (result: unknown): unknown => {
    this.#done();
    return result;
  };

  #failed = (error: unknown): never => {
    this.#done();
    throw error;
  };

  #endedWith(trace: OperationTrace): (result: unknown) => unknown {
    return (result) => {
      trace.succeeded(result);
      return this.#ended(result);
    };
  }

  #failedWith(trace: OperationTrace): (error: unknown) => never {
    return (error) => {
      trace.failed(error);
      return this.#failed(error);
    };
  }

  #done(): void {
    this.#running--;
    if (this.#running === 0) this.#idle?.();
  }
}

function closed(): SessionStoreError {
  return new SessionStoreError("ERR_SESSION_CLOSED", "The session store was closed.");
}
