import { context, trace } from "@opentelemetry/api";
import {
  InMemorySpanExporter,
  NodeTracerProvider,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-node";
import { type InstrumentOptions, instrument } from "nats-session-store/opentelemetry";
import { afterAll, beforeAll, beforeEach, onTestFinished } from "vitest";
import { Metrics } from "./metrics.js";

/** The finished spans of a test, from the real SDK. */
export const exporter = new InMemorySpanExporter();
export const tracerProvider = new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] });

beforeAll(() => {
  // Of the globals it sets, the context manager is what a span's parent comes from.
  tracerProvider.register();
});
afterAll(async () => {
  await tracerProvider.shutdown();
  trace.disable();
  context.disable();
});
beforeEach(() => exporter.reset());

/** Reports all stores to OpenTelemetry until the end of the test. */
export function start(options: InstrumentOptions = {}): Metrics {
  const metrics = new Metrics();
  const stop = instrument({ meterProvider: metrics.provider, tracerProvider, ...options });
  onTestFinished(async () => {
    stop();
    await metrics.provider.shutdown();
  });
  return metrics;
}

/** The finished spans of the store for one bucket, without that of its opening. */
export function spansOf(bucket: string): ReadableSpan[] {
  const isOf = ({ name, attributes }: ReadableSpan) =>
    attributes["db.namespace"] === bucket && !name.startsWith("open ");
  return exporter.getFinishedSpans().filter(isOf);
}
