import type { BucketPlan, MirrorReport, ServerReport, StreamReport } from "nats-session-store/admin";
import { counted, durationText } from "../output/text.js";
import type { Finding } from "./check.js";

/** A copy so far behind, in operations, is worth a warning. */
const LAG = 1000;

export function checkServer({ name, version, jetstream, fault }: ServerReport): Finding {
  const who = `${name ?? "the server"} runs nats-server ${version ?? "of an unknown version"}`;
  const check = "server";
  if (!jetstream) return { check, status: "unknown", text: `${who}, without JetStream of its own` };
  if (fault === undefined) return { check, status: "ok", text: who };
  return { check, status: "warning", text: `${who}, which has a fault: ${fault}` };
}

export function checkSettings({ differences, lacksFeed, changes }: BucketPlan): Finding {
  const check = "settings";
  const required = differences.filter(({ optional }) => !optional);
  const texts = differences.map(
    ({ field, found, wanted, why }) =>
      `${field} is ${JSON.stringify(found) ?? "not set"} instead of ${JSON.stringify(wanted)} (${why})`,
  );
  if (lacksFeed) texts.push("it does not republish its writes, so there is no change feed");
  if (texts.length === 0) return { check, status: "ok", text: "as the store wants them" };
  const final = differences.filter(({ fixable }) => !fixable);
  const cure =
    final.length > 0
      ? "another bucket is needed"
      : `nats-sessions upgrade changes ${counted(changes.length, "setting")}`;
  return {
    check,
    status: required.length > 0 ? "critical" : "warning",
    text: `${texts.join("; ")}: ${cure}`,
  };
}

export function checkReplicas({ cluster, replicas, isMirror }: StreamReport): Finding {
  const check = "replicas";
  const metrics = [{ name: "replicas", help: "Copies of the bucket", value: replicas }];
  if (isMirror)
    return { check, status: "critical", text: "the bucket is a mirror: it takes no writes", metrics };
  if (!cluster && replicas > 1) {
    const text = `${replicas} copies on a server without a cluster, which cannot open the bucket when it starts again: nats-sessions upgrade --replicas 1`;
    return { check, status: "critical", text, metrics };
  }
  if (!cluster) {
    return {
      check,
      status: "ok",
      text: `${counted(replicas, "copy", "copies")} on a server without a cluster`,
      metrics,
    };
  }
  const { leader, others } = cluster;
  if (leader === undefined) return { check, status: "critical", text: "the bucket has no leader", metrics };
  const lags = others.map(({ name, lag }) => ({
    name: "replica_lag",
    help: "Operations that a copy is behind",
    value: lag,
    labels: { replica: name },
  }));
  const bad = others.filter(({ current, offline, lag }) => offline || !current || lag >= LAG);
  const texts = bad.map(
    ({ name, offline, lag }) => `${name} is ${offline ? "offline" : `${lag} operations behind`}`,
  );
  const text = [`the leader is ${leader}`, ...texts].join("; ");
  // With half of the copies away the bucket takes no writes.
  const isStopping = bad.filter(({ offline }) => offline).length >= Math.ceil(replicas / 2) && replicas > 1;
  const status = isStopping ? "critical" : bad.length > 0 ? "warning" : "ok";
  const all =
    others.length === 0
      ? ""
      : `; ${others.length} other ${others.length === 1 ? "copy is" : "copies are"} up to date`;
  return { check, status, text: bad.length > 0 ? text : text + all, metrics: [...metrics, ...lags] };
}

export function checkMirrors(mirrors: readonly MirrorReport[]): Finding {
  const check = "mirrors";
  if (mirrors.length === 0) return { check, status: "ok", text: "there are none" };
  const metrics = mirrors.map(({ name, lag }) => ({
    name: "mirror_lag",
    help: "Entries that a mirror is behind",
    value: lag,
    labels: { mirror: name },
  }));
  const texts = mirrors.map(({ name, lag, answersReads, error }) => {
    const reads = answersReads ? ", answers reads" : "";
    return `${name} is ${lag} entries behind${reads}${error === undefined ? "" : `, with an error: ${error}`}`;
  });
  const isBad = mirrors.some(({ lag, error }) => lag >= LAG || error !== undefined);
  return { check, status: isBad ? "warning" : "ok", text: texts.join("; "), metrics };
}

export function checkAge({ createdAt, entries }: StreamReport): Finding {
  return {
    check: "bucket",
    status: "ok",
    text: `holds ${counted(entries, "entry", "entries")}, created ${durationText(Date.now() - createdAt)} ago`,
    metrics: [{ name: "entries", help: "Entries of the bucket", value: entries }],
  };
}
