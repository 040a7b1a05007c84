import type { AccountReport, ServerReport, StreamReport, Usage } from "nats-session-store/admin";
import { bytesText, numberText } from "../output/text.js";
import type { Finding, Metric, Status } from "./check.js";

/** Shares of a limit from which it is worth a warning, and critical. */
const HIGH = 0.8;
const FULL = 0.95;

/** Bytes of an entry beside its value: headers and what the protocol adds. */
const OVERHEAD = 512;

export function checkBytes({ bytes, maxBytes }: StreamReport): Finding {
  const metrics: Metric[] = [
    { name: "bytes", help: "Bytes that the bucket takes on each of its servers", value: bytes },
  ];
  if (maxBytes === undefined) {
    return {
      check: "max_bytes",
      status: "ok",
      text: `${bytesText(bytes)}, the bucket has no limit`,
      metrics,
    };
  }
  metrics.push({ name: "max_bytes", help: "Limit of the bucket in bytes", value: maxBytes });
  const share = bytes / maxBytes;
  const text = `${bytesText(bytes)} of ${bytesText(maxBytes)} (${percent(share)})`;
  return { check: "max_bytes", status: statusOf(share), text, metrics };
}

/** @param largest size of the largest value that was seen; `undefined` where there was none */
export function checkPayload(
  { maxPayload }: ServerReport,
  { maxMessageSize }: StreamReport,
  largest: number | undefined,
): Finding {
  const limit = Math.min(maxPayload ?? Number.POSITIVE_INFINITY, maxMessageSize ?? Number.POSITIVE_INFINITY);
  const check = "max_payload";
  if (!Number.isFinite(limit)) return { check, status: "unknown", text: "the server does not say its limit" };
  const metrics: Metric[] = [
    { name: "max_entry_bytes", help: "Largest entry that is possible", value: limit },
  ];
  if (largest === undefined) return { check, status: "ok", text: `at most ${bytesText(limit)}`, metrics };
  metrics.push({ name: "largest_session_bytes", help: "Largest session that was seen", value: largest });
  const share = (largest + OVERHEAD) / limit;
  const text = `the largest session seen takes ${bytesText(largest)} of at most ${bytesText(limit)}`;
  return { check, status: statusOf(share), text, metrics };
}

export function checkAccount(
  { storage, memory, streams, tier }: AccountReport,
  { storage: kind }: StreamReport,
): Finding {
  const limits: [string, Usage, (number: number) => string][] = [
    kind === "file" ? ["storage", storage, bytesText] : ["memory", memory, bytesText],
    ["streams", streams, numberText],
  ];
  const limited = limits.filter(([, { limit }]) => limit !== undefined);
  const name = tier === undefined ? "" : ` (${tier})`;
  if (limited.length === 0)
    return { check: "account", status: "ok", text: `the account has no limits${name}` };
  const shares = limited.map(([, { used, limit }]) => used / (limit as number));
  const texts = limited.map(
    ([what, { used, limit }, text], n) =>
      `${what} ${text(used)} of ${text(limit as number)} (${percent(shares[n] as number)})`,
  );
  const metrics = limited.flatMap(([what, { used, limit }]) => [
    { name: `account_${what}_used`, help: `Used ${what} of the account`, value: used },
    { name: `account_${what}_limit`, help: `Limit of the account's ${what}`, value: limit as number },
  ]);
  // Existing buckets do not need another stream.
  const share = shares[limited.findIndex(([what]) => what !== "streams")] ?? 0;
  return { check: "account", status: statusOf(share), text: texts.join(", ") + name, metrics };
}

function statusOf(share: number): Status {
  if (share >= FULL) return "critical";
  return share >= HIGH ? "warning" : "ok";
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(share > 0 && share < 0.1 ? 1 : 0)} %`;
}
