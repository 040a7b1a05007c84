import { SessionStoreError } from "./errors.js";
import { handleOf } from "./format/keys.js";
import type { Buckets } from "./nats/buckets.js";
import {
  type OperationContext,
  type OperationError,
  type OperationName,
  operations,
} from "./util/channels.js";

/**
 * Publishes an operation as Node's tracing channels do: `start`, `end`, perhaps `error`, `asyncStart`, `asyncEnd`, all
 * with one context. Not by `tracePromise`, which would publish the result and so the data, and make one promise more.
 */
export class OperationTrace {
  readonly context: OperationContext;
  readonly #buckets: Buckets;

  /** @param id of the session that it is about; of one that is known by its handle, the handle follows */
  constructor(
    buckets: Buckets,
    operation: OperationName,
    id: string | undefined,
    handle = handleOrNothing(id),
  ) {
    this.#buckets = buckets;
    this.context = contextOf(buckets, operation, handle);
  }

  /** Begins the operation; what runs it calls `succeeded` or `failed` when it is over. */
  start<R>(run: () => Promise<R>): Promise<R> {
    return operations.start.runStores(this.context, () => {
      const running = run();
      operations.end.publish(this.context);
      return running;
    });
  }

  succeeded(result: unknown): void {
    const { context } = this;
    context.outcome ??= outcomeOf(context.operation, result);
    this.#finish();
  }

  failed(error: unknown): void {
    const { context } = this;
    context.error = publicPart(error);
    operations.error.publish(context as OperationContext & { error: unknown });
    this.#finish();
  }

  #finish(): void {
    const { context } = this;
    if (context.serverAddress === undefined) noteServer(context, this.#buckets);
    operations.asyncStart.publish(context);
    operations.asyncEnd.publish(context);
  }
}

/** Publishes a touch that an adapter found to be needless, and so never began. */
export function traceSkippedTouch(buckets: Buckets, handle: string): void {
  const context = contextOf(buckets, "touch", handle);
  context.outcome = "skipped";
  operations.start.publish(context);
  operations.end.publish(context);
  operations.asyncStart.publish(context);
  operations.asyncEnd.publish(context);
}

function contextOf(buckets: Buckets, operation: OperationName, handle: string | undefined): OperationContext {
  const context: OperationContext = {
    operation,
    bucket: buckets.name,
    handle,
    outcome: undefined,
    attempts: 1,
    cached: operation === "load" ? false : undefined,
    serverAddress: undefined,
    serverPort: undefined,
  };
  noteServer(context, buckets);
  return context;
}

function noteServer(context: OperationContext, { server }: Buckets): void {
  if (!server) return;
  context.serverAddress = server.address;
  context.serverPort = server.port;
}

/** The operation itself reports what is wrong with an id. */
function handleOrNothing(id: string | undefined): string | undefined {
  try {
    return id === undefined ? undefined : handleOf(id);
  } catch {
    return undefined;
  }
}

function outcomeOf(operation: OperationName, result: unknown): string | undefined {
  if (operation === "load") return result === null ? "missing" : "found";
  if (operation === "destroy") return result === true ? "destroyed" : "missing";
  const { outcome } = (typeof result === "object" && result !== null ? result : {}) as { outcome?: unknown };
  return typeof outcome === "string" ? outcome : undefined;
}

/** An error of the application may hold data of the session, and so may the cause of one of the store's. */
function publicPart(error: unknown): OperationError {
  if (error instanceof SessionStoreError) {
    const { name, code, message } = error;
    return { name, code, message };
  }
  return { name: error instanceof Error ? error.name : "Error" };
}
