import { SessionStoreError } from "./errors.js";
import { handleOf } from "./format/keys.js";
import type { Buckets } from "./nats/buckets.js";
import {
  type OperationContext,
  type OperationError,
  type OperationName,
  operations,
} from "./util/channels.js";

/** What an operation is about: the session with this id, or with this handle, or neither. */
export interface Traced {
  readonly operation: OperationName;
  readonly id: string | undefined;
  readonly handle?: string | undefined;
}

/**
 * Runs an operation and publishes it as Node's tracing channels do: `start`, `end`, perhaps `error`, `asyncStart`,
 * `asyncEnd`, all with one context. Not by `tracePromise`, which would publish the result and so the data.
 */
export function traceOperation<R>(
  buckets: Buckets,
  { operation, id, handle = handleOrNothing(id) }: Traced,
  run: (context: OperationContext) => Promise<R>,
): Promise<R> {
  const context = contextOf(buckets, operation, handle);
  const { start, end, error: failed } = operations;
  return start.runStores(context, () => {
    const running = run(context);
    end.publish(context);
    return running.then(
      (result) => {
        context.outcome ??= outcomeOf(operation, result);
        finish(context, buckets);
        return result;
      },
      (error) => {
        context.error = publicPart(error);
        failed.publish(context as OperationContext & { error: unknown });
        finish(context, buckets);
        throw error;
      },
    );
  });
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

function finish(context: OperationContext, buckets: Buckets): void {
  if (context.serverAddress === undefined) noteServer(context, buckets);
  operations.asyncStart.publish(context);
  operations.asyncEnd.publish(context);
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
