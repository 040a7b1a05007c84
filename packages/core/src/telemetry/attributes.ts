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

/** What is known of an operation when it begins. Each attribute costs: what is as usual has none. */
export function startAttributes(context: OperationContext): Attributes {
  const { operation, bucket, handle } = context;
  const attributes: Attributes = { [SYSTEM]: "nats", [NAMESPACE]: bucket, [OPERATION]: operation };
  if (handle !== undefined) attributes["nats.session.handle"] = handle;
  addServer(attributes, context);
  return attributes;
}

/** Adds to a span what is known of its operation when it is over. */
export function addEndAttributes(span: Span, context: OperationContext): void {
  const { outcome, attempts, cached, error } = context;
  if (outcome !== undefined) span.setAttribute("nats.session.outcome", outcome);
  if (attempts > 1) span.setAttribute("nats.session.attempts", attempts);
  if (cached) span.setAttribute("nats.session.cached", true);
  if (error) span.setAttribute(ERROR_TYPE, errorType(context));
}

/** Adds the server that an operation has opened a connection to. */
export function addServerAttributes(span: Span, { serverAddress, serverPort }: OperationContext): void {
  if (serverAddress === undefined) return;
  span.setAttribute(ADDRESS, serverAddress);
  if (serverPort !== undefined) span.setAttribute(PORT, serverPort);
}

/** What the duration of an operation is told by: few values of each, so no handle. */
export function durationAttributes(context: OperationContext): Attributes {
  const { operation, bucket, error } = context;
  const attributes: Attributes = { [SYSTEM]: "nats", [NAMESPACE]: bucket, [OPERATION]: operation };
  if (error) attributes[ERROR_TYPE] = errorType(context);
  addServer(attributes, context);
  return attributes;
}

function errorType({ error }: OperationContext): string {
  return error?.code ?? error?.name ?? "_OTHER";
}

function addServer(attributes: Attributes, { serverAddress, serverPort }: OperationContext): void {
  if (serverAddress === undefined) return;
  attributes[ADDRESS] = serverAddress;
  if (serverPort !== undefined) attributes[PORT] = serverPort;
}
