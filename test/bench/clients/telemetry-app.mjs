import { trace } from "@opentelemetry/api";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { open as openApp } from "./express-app.mjs";
import { listenersOf } from "./telemetry-listeners.mjs";

/** Takes spans and metrics, and sends them nowhere. */
const nowhere = {
  export: (_batch, done) => done({ code: 0 }),
  forceFlush: async () => {},
  shutdown: async () => {},
};

/**
 * The application of `express-app.mjs` with the SDK of OpenTelemetry and a span for each request.
 * @param listener what listens to the store, too; see `telemetry-listeners.mjs`
 */
export async function open({ listener, ...settings }) {
  const tracerProvider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(nowhere)] });
  tracerProvider.register();
  const reader = new PeriodicExportingMetricReader({ exporter: nowhere, exportIntervalMillis: 10_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const tracer = trace.getTracer("application");
  const { onRequest } = listenersOf({ tracerProvider, meterProvider })[listener]();
  const first = (req, res, next) => {
    tracer.startActiveSpan(req.method, (span) => {
      res.on("close", () => span.end());
      onRequest?.(req.path);
      next();
    });
  };
  const app = await openApp({ ...settings, first });
  return {
    ...app,
    /** So that no measurement pays for the garbage of the one before. */
    collect: () => globalThis.gc(),
  };
}
