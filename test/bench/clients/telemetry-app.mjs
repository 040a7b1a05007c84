import { trace } from "@opentelemetry/api";
import { MeterProvider, PeriodicExportingMetricReader } from "@opentelemetry/sdk-metrics";
import { BatchSpanProcessor, NodeTracerProvider } from "@opentelemetry/sdk-trace-node";
import { instrument } from "nats-session-store/opentelemetry";
import { open as openApp } from "./express-app.mjs";

/** Takes spans and metrics, and sends them nowhere. */
const nowhere = {
  export: (_batch, done) => done({ code: 0 }),
  forceFlush: async () => {},
  shutdown: async () => {},
};

/**
 * The application of `express-app.mjs` with the SDK of OpenTelemetry and a span for each request. `report` says
 * whether the store reports, too.
 */
export async function open(settings) {
  const tracerProvider = new NodeTracerProvider({ spanProcessors: [new BatchSpanProcessor(nowhere)] });
  tracerProvider.register();
  const reader = new PeriodicExportingMetricReader({ exporter: nowhere, exportIntervalMillis: 10_000 });
  const meterProvider = new MeterProvider({ readers: [reader] });
  const tracer = trace.getTracer("application");
  const first = (req, res, next) => {
    tracer.startActiveSpan(req.method, (span) => {
      res.on("close", () => span.end());
      next();
    });
  };
  const app = await openApp({ ...settings, first });
  let stop;
  return {
    ...app,
    report: (isOn) => {
      stop?.();
      stop = isOn ? instrument({ tracerProvider, meterProvider }) : undefined;
    },
  };
}
