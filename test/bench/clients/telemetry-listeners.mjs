import { channel, tracingChannel } from "node:diagnostics_channel";
import { ProxyTracerProvider, SpanKind } from "@opentelemetry/api";
import { instrument } from "nats-session-store/opentelemetry";

/** What each request makes the store do in the benchmark; a read's touch is skipped as too soon. */
const OPERATIONS = { "/read": ["load"], "/write": ["load", "save"] };

const BUCKET = { "db.system.name": "nats", "db.namespace": "telemetry" };

/**
 * What can listen to the store of this process. Each function starts it, and gives what else is to be done in each
 * request.
 */
export function listenersOf({ tracerProvider, meterProvider }) {
  return {
    nothing: () => ({}),
    "a subscriber of the channels": subscribe,
    metrics: () => {
      instrument({ meterProvider, tracerProvider: new ProxyTracerProvider() });
      return {};
    },
    "spans and metrics": () => {
      instrument({ meterProvider, tracerProvider });
      return {};
    },
    "the SDK alone": () => ({ onRequest: byHand({ tracerProvider, meterProvider }) }),
  };
}

/** Counts the messages of each channel. */
function subscribe() {
  const counts = {};
  const note = (_message, name) => {
    counts[name] = (counts[name] ?? 0) + 1;
  };
  const tracing = tracingChannel("nats-session-store:operation");
  tracing.subscribe({ start: note, end: note, asyncStart: note, asyncEnd: note, error: note });
  const points = ["created", "ended", "merge", "gone", "limit", "cache", "missed", "leader", "warning"];
  for (const name of points) channel(`nats-session-store:${name}`).subscribe(note);
  return {};
}

/** Makes the spans and measurements that the store would, without the store: what is left when all of ours is gone. */
function byHand({ tracerProvider, meterProvider }) {
  const tracer = tracerProvider.getTracer("by hand");
  const meter = meterProvider.getMeter("by hand");
  const duration = meter.createHistogram("duration", { unit: "s" });
  const touches = meter.createCounter("touches");
  return (path) => {
    for (const operation of OPERATIONS[path]) {
      const attributes = { ...BUCKET, "db.operation.name": operation };
      const span = tracer.startSpan(`${operation} telemetry`, { kind: SpanKind.CLIENT, attributes });
      const since = performance.now();
      span.setAttribute("nats.session.handle", "a handle as long as the hash of a session's id");
      span.setAttribute("nats.session.outcome", "found");
      span.setAttribute("server.address", "127.0.0.1");
      span.setAttribute("server.port", 4222);
      duration.record((performance.now() - since) / 1000, attributes);
      span.end();
    }
    if (path === "/read") touches.add(1, { "db.namespace": "telemetry", "nats.session.touch": "skipped" });
  };
}
