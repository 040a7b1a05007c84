import type { EntryInfo, PermissionTrial, Position } from "nats-session-store/admin";
import { counted } from "../output/text.js";
import type { Finding, Metric } from "./check.js";
import { percent } from "./headroom-checks.js";

/** Differences between the clocks from which sessions expire noticeably early or late, in ms. */
const CLOCK_WARNING = 1000;
const CLOCK_CRITICAL = 10_000;

/** A feed that takes longer, in ms, is a sign of an overloaded server. */
const FEED_SLOW = 1000;

/** More tombstones than this share of the entries cost memory and disk that sessions could use. */
const TOMBSTONES = 0.9;

export function checkPermissions(trials: readonly PermissionTrial[]): Finding {
  const check = "permissions";
  const refused = trials.filter(({ result }) => result === "refused");
  const silent = trials.filter(({ result }) => result === "unanswered");
  const metrics: Metric[] = trials.map(({ operation, purpose, result }) => ({
    name: "permission",
    help: "Whether the account has a permission that the store needs",
    value: result === "allowed" ? 1 : 0,
    labels: { operation, purpose },
  }));
  const texts = [...refused, ...silent].map(
    ({ operation, subject, purpose, result }) => `${operation} ${subject} is ${result} (${purpose})`,
  );
  if (texts.length === 0)
    return { check, status: "ok", text: `all ${trials.length} that a store needs`, metrics };
  return { check, status: refused.length > 0 ? "critical" : "warning", text: texts.join("; "), metrics };
}

/** @param milliseconds after how long the feed reported a write */
export function checkFeed(milliseconds: number): Finding {
  return {
    check: "feed",
    status: milliseconds > FEED_SLOW ? "warning" : "ok",
    text: `reported a write after ${milliseconds.toFixed(1)} ms`,
    metrics: [
      {
        name: "feed_seconds",
        help: "How long the change feed took to report a write",
        value: milliseconds / 1000,
      },
    ],
  };
}

/** @param asked when the server was asked, and when its answer came (Unix ms of this machine) */
export function checkClock({ serverTime }: Position, [sent, received]: readonly [number, number]): Finding {
  const check = "clock";
  if (serverTime === 0) return { check, status: "unknown", text: "the server does not tell its time" };
  // Within the time that the answer took, the clocks agree.
  const offset = serverTime < sent ? serverTime - sent : Math.max(0, serverTime - received);
  const size = Math.abs(offset);
  const side = offset < 0 ? "behind" : "ahead of";
  const text =
    size === 0
      ? "agrees with the server's"
      : `the server's is ${(size / 1000).toFixed(3)} s ${side} this machine's`;
  const status = size >= CLOCK_CRITICAL ? "critical" : size >= CLOCK_WARNING ? "warning" : "ok";
  return {
    check,
    status,
    text,
    metrics: [
      { name: "clock_offset_seconds", help: "The server's clock minus this machine's", value: offset / 1000 },
    ],
  };
}

/** @param isAll whether the sample is the whole bucket */
export function checkTombstones(sample: readonly EntryInfo[], isAll: boolean): Finding {
  const check = "tombstones";
  if (sample.length === 0) return { check, status: "ok", text: "the bucket is empty" };
  const share = sample.filter(({ state }) => state === "ended").length / sample.length;
  const of = isAll
    ? `of ${counted(sample.length, "entry", "entries")}`
    : `of ${counted(sample.length, "entry", "entries")} looked at`;
  return {
    check,
    status: share > TOMBSTONES && sample.length >= 1000 ? "warning" : "ok",
    text: `${percent(share)} ${of}`,
    metrics: [{ name: "tombstone_share", help: "Share of tombstones among the entries", value: share }],
  };
}

/** Whether the keys that were given open what is stored. */
export function checkKeys(sample: readonly EntryInfo[], given: ReadonlySet<string>): Finding {
  const check = "keys";
  const live = sample.filter(({ kind, state }) => kind === "session" && state === "live");
  const ids = new Map<string, number>();
  for (const { keyId = "" } of live) ids.set(keyId, (ids.get(keyId) ?? 0) + 1);
  const texts = [...ids].map(
    ([id, number]) => `${counted(number, "session")} ${id === "" ? "plain" : `with ${id}`}`,
  );
  if (live.length === 0) return { check, status: "ok", text: "no sessions looked at" };
  const missing = [...ids.keys()].filter((id) => id !== "" && !given.has(id));
  const isKeyed = given.size > 0;
  const plain = isKeyed && ids.has("");
  const isBad = isKeyed && (missing.length > 0 || plain);
  return { check, status: isBad ? "warning" : "ok", text: texts.join(", ") };
}
