import {
  type MeterProvider,
  metrics,
  type Span,
  SpanKind,
  SpanStatusCode,
  type TracerProvider,
  trace,
} from "@opentelemetry/api";
import type { SessionStore } from "../store.js";
import { type OperationContext, operations } from "../util/channels.js";
import { objectLinks } from "../util/object-links.js";
import { now } from "../util/timers.js";
import { addEndAttributes, durationAttributes, operationAttributes } from "./attributes.js";
import { countEvents, type Instruments, instrumentsOf } from "./instruments.js";
import { LiveSessions } from "./live-sessions.js";

/** Where `instrument` sends what it learns. */
export interface InstrumentOptions {
  /**
   * Where metrics go.
   * @default the global one, so register it before
   */
  meterProvider?: MeterProvider | undefined;
  /**
   * Where spans go.
   * @default the global one
   */
  tracerProvider?: TracerProvider | undefined;
  /**
   * Stores whose change feed is followed for the metrics of a whole bucket: `nats.session.live` and
   * `nats.session.expired`. They are the same in every process, so give it in one process, or do not add them up.
   * @default none
   */
  // biome-ignore lint/suspicious/noExplicitAny: whatever data their sessions hold
  sessions?: SessionStore<any> | readonly SessionStore<any>[] | undefined;
}

const NAME = "nats-session-store";

/** An operation under way: its span, and when it began, in ms of `now()`. */
interface Running {
  readonly span: Span;
  readonly since: number;
}

/**
 * Reports what every store of this process does to OpenTelemetry: a span for each operation, a child of the span that
 * is active where it is called, and metrics. No session id, no data and no name of a user is in them; spans name
 * sessions by their handle.
 *
 * @returns a function that stops it
 * @example
 * const stop = instrument({ meterProvider, tracerProvider });
 */
export function instrument({
  meterProvider = metrics.getMeterProvider(),
  tracerProvider = trace.getTracerProvider(),
  sessions = [],
}: InstrumentOptions = {}): () => void {
  const tracer = tracerProvider.getTracer(NAME);
  const instruments = instrumentsOf(meterProvider.getMeter(NAME));
  const running = objectLinks<Running>();
  const subscribers = {
    start(context: OperationContext): void {
      const { operation, bucket, outcome } = context;
      if (outcome !== undefined) {
        // A touch that was needless before it began: nothing took place that a span could show.
        countTouch(instruments, context);
        return;
      }
      const attributes = operationAttributes(context);
      const span = tracer.startSpan(`${operation} ${bucket}`, { kind: SpanKind.CLIENT, attributes });
      running.set(context, { span, since: now() });
    },
    asyncEnd(context: OperationContext): void {
      const begun = running.get(context);
      if (!begun) return;
      instruments.duration.record((now() - begun.since) / 1000, durationAttributes(context));
      countTouch(instruments, context);
      endSpan(begun.span, context);
    },
  };
  operations.subscribe(subscribers as Parameters<typeof operations.subscribe>[0]);
  const stopEvents = countEvents(instruments);
  const live = new LiveSessions(instruments, [sessions].flat());
  return () => {
    operations.unsubscribe(subscribers as Parameters<typeof operations.unsubscribe>[0]);
    stopEvents();
    live.stop();
  };
}

function endSpan(span: Span, context: OperationContext): void {
  if (span.isRecording()) {
    addEndAttributes(span, context);
    if (context.error) span.setStatus({ code: SpanStatusCode.ERROR });
  }
  span.end();
}

/** A save of unchanged data is a touch, too. */
function countTouch({ touches }: Instruments, { outcome, bucket }: OperationContext): void {
  if (outcome === "touched") touches.add(1, { "db.namespace": bucket, "nats.session.touch": "stored" });
  if (outcome === "skipped") touches.add(1, { "db.namespace": bucket, "nats.session.touch": "skipped" });
}
