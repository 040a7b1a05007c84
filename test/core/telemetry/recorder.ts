import { channel, tracingChannel } from "node:diagnostics_channel";
import type { OperationContext } from "nats-session-store";
import { onTestFinished } from "vitest";

/** What was published: for the tracing channel the contexts as they were at `asyncEnd`. */
export interface Recorded {
  readonly operations: OperationContext[];
  readonly messages: { readonly name: string; readonly message: object }[];
  /** Everything that any channel published, as text. */
  text(): string;
  /** The messages of one point channel. */
  of(name: string): object[];
  stop(): void;
}

/** The point channels. */
export const POINTS = ["created", "ended", "merge", "gone", "limit", "cache", "missed", "leader", "warning"];

/** Subscribes to all channels of the store until the end of the test, for one bucket. */
export function record(bucket: string): Recorded {
  const operations: OperationContext[] = [];
  const messages: Recorded["messages"] = [];
  const published: string[] = [];
  const isOurs = (message: unknown) => (message as { bucket?: string }).bucket === bucket;
  const note = (message: unknown) => published.push(JSON.stringify(message));
  const tracing = tracingChannel<unknown, OperationContext>("nats-session-store:operation");
  const tracer = {
    start: note,
    end: note,
    error: note,
    asyncStart: note,
    asyncEnd: (context: OperationContext) => {
      note(context);
      if (isOurs(context)) operations.push(context);
    },
  };
  tracing.subscribe(tracer);
  const points = POINTS.map((name) => {
    const listener = (message: unknown) => {
      note(message);
      if (isOurs(message)) messages.push({ name, message: message as object });
    };
    channel(`nats-session-store:${name}`).subscribe(listener);
    return () => channel(`nats-session-store:${name}`).unsubscribe(listener);
  });
  const stop = () => {
    tracing.unsubscribe(tracer);
    for (const end of points) end();
  };
  onTestFinished(stop);
  return {
    operations,
    messages,
    text: () => published.join("\n"),
    of: (name) => messages.filter((one) => one.name === name).map(({ message }) => message),
    stop,
  };
}
