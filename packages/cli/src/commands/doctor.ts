import { SessionStoreError } from "nats-session-store";
import type { BucketPlan, EntryInfo, SessionAdmin, StreamReport } from "nats-session-store/admin";
import type { Command, Invocation } from "../command.js";
import {
  checkAge,
  checkMirrors,
  checkReplicas,
  checkServer,
  checkSettings,
} from "../doctor/bucket-checks.js";
import { exitCodeOf, type Finding, worst } from "../doctor/check.js";
import { checkAccount, checkBytes, checkPayload } from "../doctor/headroom-checks.js";
import {
  checkClock,
  checkFeed,
  checkKeys,
  checkPermissions,
  checkTombstones,
} from "../doctor/live-checks.js";
import { printFindings } from "../doctor/report.js";

/** How many entries are looked at. */
const SAMPLE = 2000;

export const doctor: Command = {
  name: "doctor",
  usage: "[--read-only]",
  summary: "check server, bucket, permissions, feed, clock and headroom",
  details:
    "Ends with 0 (ok), 1 (warning), 2 (critical) or 3 (no server), as monitoring plugins do. To see the change feed " +
    "work it writes one small entry, which replaces that of the time before; --read-only leaves that out.",
  options: { "read-only": { type: "boolean", help: "write nothing; the change feed is not tried" } },
  formats: ["table", "json", "prometheus"],

  async run(invocation) {
    const { format, terminal, connection } = invocation;
    const findings = await examine(invocation);
    await printFindings(findings, connection.bucket, format, terminal);
    return exitCodeOf(worst(findings.map(({ status }) => status)));
  },
};

async function examine(invocation: Invocation): Promise<Finding[]> {
  const admin = invocation.connection.admin();
  const { buckets } = admin;
  const plans = await Promise.all(buckets.map((_name, shard) => admin.plan(shard).catch(told)));
  const findings: Finding[] = [];
  for (const [shard, bucket] of buckets.entries()) {
    const found = await examineBucket(invocation, admin, shard, plans);
    findings.push(...(buckets.length === 1 ? found : found.map((finding) => ({ bucket, ...finding }))));
  }
  return findings;
}

/** A plan of a bucket, or why there is none. */
type Planned = BucketPlan | SessionStoreError;

/** Without the stream's configuration there may still be permissions to tell of. */
function told(error: unknown): SessionStoreError {
  const code = codeOf(error);
  if (code === "ERR_SESSION_PERMISSION" || code === "ERR_SESSION_BUCKET_MISMATCH") {
    return error as SessionStoreError;
  }
  throw error;
}

/** Whether a store can be opened, as far as the buckets' configurations say. */
function canOpen(plan: Planned): boolean {
  if (plan instanceof Error) return codeOf(plan) === "ERR_SESSION_PERMISSION";
  return plan.exists && plan.differences.every(({ optional }) => optional);
}

/** What is the same for all buckets, such as the server, is looked at with the first one. */
async function examineBucket(
  { values, connection }: Invocation,
  admin: SessionAdmin,
  shard: number,
  plans: readonly Planned[],
): Promise<Finding[]> {
  const isFirst = shard === 0;
  const findings: Finding[] = [];
  const check = async (name: string, find: () => Promise<Finding>) => {
    findings.push(await find().catch((error) => failed(name, error)));
  };
  const isOpen = plans.every(canOpen);
  /** Checks what only a store that is open can tell. */
  const checkOpen = async (name: string, find: () => Promise<Finding>) => {
    if (isOpen) return check(name, find);
    findings.push({ check: name, status: "unknown", text: "not tried: a store cannot be opened" });
  };

  const plan = plans[shard] as Planned;
  const ttls = plan instanceof Error || plan.config.allow_msg_ttl === true;
  if (isFirst) await check("server", async () => checkServer(await admin.server(ttls)));
  if (plan instanceof Error) {
    if (!canOpen(plan)) return [...findings, failed("bucket", plan)];
    findings.push(failed("settings", plan));
  } else {
    if (!plan.exists) {
      const text = `there is no bucket ${connection.titleOfOne(admin.buckets[shard])}; nats-sessions init makes it`;
      return [...findings, { check: "bucket", status: "critical", text }];
    }
    findings.push(checkSettings(plan));
  }
  await check("permissions", async () => checkPermissions(await admin.tryPermissions(shard)));

  let stream: StreamReport | undefined;
  await check("bucket", async () => {
    stream = await admin.stream(shard);
    return checkAge(stream);
  });
  await check("mirrors", async () => checkMirrors(await admin.mirrors(shard)));
  await checkOpen("feed", async () => {
    if (!values.has("read-only")) return checkFeed(await admin.tryFeed(shard));
    return { check: "feed", status: "unknown", text: "not tried: --read-only" };
  });
  if (isFirst) {
    await checkOpen("clock", async () => {
      const sent = Date.now();
      const position = await admin.position();
      return checkClock(position, [sent, Date.now()]);
    });
  }
  if (!stream) return findings;

  const known = stream;
  findings.push(checkReplicas(known), checkBytes(known));
  if (!isFirst) return findings;
  let sample: Sample | undefined;
  await checkOpen("tombstones", async () => {
    sample = await sampleOf(admin);
    return checkTombstones(sample.infos, sample.isAll);
  });
  const sizes = (sample?.infos ?? []).filter(({ kind }) => kind === "session").map(({ bytes }) => bytes);
  const largest = sizes.length > 0 ? Math.max(...sizes) : undefined;
  findings.push(checkPayload(await admin.server(), known, largest));
  await check("account", async () => checkAccount(await admin.account(known.replicas), known));
  if (sample) {
    const keys = connection.options.encryption?.keys ?? [];
    findings.push(checkKeys(sample.infos, new Set(keys.map(({ id }) => id))));
  }
  return findings;
}

interface Sample {
  readonly infos: readonly EntryInfo[];
  readonly isAll: boolean;
}

async function sampleOf(admin: SessionAdmin): Promise<Sample> {
  if ((await admin.countEntries()) > SAMPLE) return { infos: await admin.sample(SAMPLE), isAll: false };
  const infos: EntryInfo[] = [];
  for await (const batch of admin.entries()) infos.push(...batch);
  return { infos, isAll: true };
}

/** What could not be checked for want of a permission is reported by the check of the permissions. */
function failed(check: string, error: unknown): Finding {
  const code = codeOf(error);
  const text = error instanceof Error ? error.message : String(error);
  if (code === "ERR_SESSION_PERMISSION") return { check, status: "unknown", text: `not checked: ${text}` };
  if (code === "ERR_SESSION_NO_FEED") return { check, status: "warning", text: "there is no change feed" };
  return { check, status: "critical", text: code === undefined ? text : `${text} (${code})` };
}

function codeOf(error: unknown): string | undefined {
  return error instanceof SessionStoreError ? error.code : undefined;
}
