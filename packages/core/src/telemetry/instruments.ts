import type { Counter, Histogram, Meter, ObservableGauge } from "@opentelemetry/api";
import {
  type CacheMessage,
  cacheEvents,
  created,
  ended,
  gone,
  type LimitMessage,
  limits,
  merges,
  type SessionMessage,
  type TypedChannel,
  type WriteMessage,
} from "../util/channels.js";
import { bucketAttributes } from "./attributes.js";

export interface Instruments {
  readonly duration: Histogram;
  readonly created: Counter;
  readonly ended: Counter;
  readonly refused: Counter;
  readonly merges: Counter;
  readonly gone: Counter;
  readonly touches: Counter;
  readonly cacheHits: Counter;
  readonly cacheMisses: Counter;
  readonly cacheEvictions: Counter;
  readonly expired: Counter;
  readonly live: ObservableGauge;
}

/** Of `db.client.operation.duration`, in s, as the semantic conventions for database clients want them. */
const BOUNDARIES = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 10];

export function instrumentsOf(meter: Meter): Instruments {
  const counter = (name: string, unit: string, description: string) =>
    meter.createCounter(`nats.session.${name}`, { unit, description });
  return {
    duration: meter.createHistogram("db.client.operation.duration", {
      unit: "s",
      description: "Duration of database client operations.",
      advice: { explicitBucketBoundaries: BOUNDARIES },
    }),
    created: counter("created", "{session}", "Sessions that this process has created."),
    ended: counter("ended", "{session}", "Sessions that this process has ended."),
    refused: counter("refused", "{sign_in}", "Sign-ins that the limit of sessions has refused."),
    merges: counter("merges", "{merge}", "Writes that merged the changes of another request."),
    gone: counter("gone", "{write}", "Writes that met a session which was ended elsewhere."),
    touches: counter("touches", "{touch}", "Touches, stored or skipped as too soon."),
    cacheHits: counter("cache.hits", "{load}", "Loads that the near cache has answered."),
    cacheMisses: counter("cache.misses", "{load}", "Loads that the near cache could not answer."),
    cacheEvictions: counter(
      "cache.evictions",
      "{session}",
      "Sessions that left the near cache: for want of room, or because they may have been out of date.",
    ),
    expired: counter("expired", "{session}", "Sessions of the bucket that have expired."),
    live: meter.createObservableGauge("nats.session.live", {
      unit: "{session}",
      description: "Live sessions of the bucket.",
    }),
  };
}

/** Counts what the point channels publish. @returns a function that stops it */
export function countEvents(instruments: Instruments): () => void {
  const stops = [
    listen<SessionMessage>(created, ({ bucket }) => instruments.created.add(1, bucketAttributes(bucket))),
    listen<SessionMessage>(ended, ({ bucket }) => instruments.ended.add(1, bucketAttributes(bucket))),
    listen<WriteMessage>(merges, (message) => instruments.merges.add(1, writeAttributes(message))),
    listen<WriteMessage>(gone, (message) => instruments.gone.add(1, writeAttributes(message))),
    listen<LimitMessage>(limits, ({ bucket, action }) => {
      if (action === "refused") instruments.refused.add(1, bucketAttributes(bucket));
    }),
    listen<CacheMessage>(cacheEvents, (message) => countCacheEvent(instruments, message)),
  ];
  return () => {
    for (const stop of stops) stop();
  };
}

function listen<M extends object>(channel: TypedChannel<M>, listener: (message: M) => void): () => void {
  channel.subscribe(listener);
  return () => channel.unsubscribe(listener);
}

function writeAttributes({ bucket, operation }: WriteMessage) {
  return { ...bucketAttributes(bucket), "db.operation.name": operation };
}

function countCacheEvent(
  { cacheHits, cacheMisses, cacheEvictions }: Instruments,
  { bucket, type, count }: CacheMessage,
): void {
  const attributes = bucketAttributes(bucket);
  if (type === "hit") cacheHits.add(count, attributes);
  else if (type === "miss") cacheMisses.add(count, attributes);
  else cacheEvictions.add(count, { ...attributes, "nats.session.cache.reason": REASONS[type] });
}

const REASONS = { evict: "full", drop: "stale" } as const;
