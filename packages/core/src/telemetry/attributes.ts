import type { Attributes, Span } from "@opentelemetry/api";
import type { OperationContext } from "../util/channels.js";

// Names of the semantic conventions for database clients, which this package writes out itself: they are stable, and
// the package that lists them is large.
const SYSTEM = "db.system.name";
const NAMESPACE = "db.namespace";
const OPERATION = "db.operation.name";
const ERROR_TYPE = "error.type";
const ADDRESS = "server.address";
const PORT = "server.port";

/** What a metric says of a bucket. */
export function bucketAttributes(bucket: string): Attributes {
  return { [SYSTEM]: "nats", [NAMESPACE]: bucket };
}

/** What a span begins with, and what the duration of an operation is told by: few values of each, so no handle. */
export function operationAttributes({ operation, bucket }: OperationContext): Attributes {
  return { [SYSTEM]: "nats", [NAMESPACE]: bucket, [OPERATION]: operation };
}

/** As `operationAttributes`, of an operation that is over. */
export function durationAttributes(context: OperationContext): Attributes {
  const attributes = operationAttributes(context);
  if (context.error) attributes[ERROR_TYPE] = errorType(context);
  return attributes;
}

/** Adds to a span what is known of its operation when it is over. Each attribute costs: what is as usual has none. */
export function addEndAttributes(span: Span, context: OperationContext): void {
  const { handle, outcome, attempts, cached, error, serverAddress, serverPort } = context;
  if (handle !== undefined) span.setAttribute("nats.session.handle", handle);
  if (outcome !== undefined) span.setAttribute("nats.session.outcome", outcome);
  if (attempts > 1) span.setAttribute("nats.session.attempts", attempts);
  if (cached) span.setAttribute("nats.session.cached", true);
  if (error) span.setAttribute(ERROR_TYPE, errorType(context));
  if (serverAddress !== undefined) span.setAttribute(ADDRESS, serverAddress);
  if (serverPort !== undefined) span.setAttribute(PORT, serverPort);
}

function errorType({ error }: OperationContext): string {
  return error?.code ?? error?.name ?? "_OTHER";
}
