import type { Attributes } from "@opentelemetry/api";
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

/** What is known of an operation when it begins. */
export function startAttributes({ operation, bucket, handle }: OperationContext): Attributes {
  const attributes: Attributes = { [SYSTEM]: "nats", [NAMESPACE]: bucket, [OPERATION]: operation };
  if (handle !== undefined) attributes["nats.session.handle"] = handle;
  return attributes;
}

/** What is known of an operation when it is over. */
export function endAttributes(context: OperationContext): Attributes {
  const { outcome, attempts, cached, error } = context;
  const attributes: Attributes = { "nats.session.attempts": attempts };
  if (outcome !== undefined) attributes["nats.session.outcome"] = outcome;
  if (cached !== undefined) attributes["nats.session.cached"] = cached;
  if (error) attributes[ERROR_TYPE] = errorType(context);
  addServer(attributes, context);
  return attributes;
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
