import { SessionStoreError } from "nats-session-store";
import type { SessionAdmin } from "nats-session-store/admin";
import type { Command, Invocation } from "../command.js";
import { openSource, sourceIn } from "../migrate/open-source.js";
import type { Found, Source } from "../migrate/source.js";
import { counted, jsonLine, numberText } from "../output/text.js";
import { settingLines } from "./settings.js";

/** What became of the sessions. */
interface Counts {
  copied: number;
  alreadyThere: number;
  expired: number;
  unreadable: number;
}

/** What a session itself is the reason of, so that the next one can be tried. */
const ITS_OWN: ReadonlySet<string> = new Set([
  "ERR_SESSION_SERIALIZE",
  "ERR_SESSION_TOO_LARGE",
  "ERR_SESSION_CORRUPT",
]);

export const migrate: Command = {
  name: "migrate",
  usage: "--from URL|FILE|- [--prefix sess:] [--dry-run]",
  summary: "copy the sessions of another store into the bucket",
  details:
    "From Redis (connect-redis, koa-redis), PostgreSQL (connect-pg-simple), another bucket, or JSON lines.\n" +
    "What is in the bucket stays as it is, so it may run beside the application, and again after it was stopped.",
  options: {
    from: {
      type: "string",
      value: "FROM",
      help: "redis://…, postgres://…, nats://…, a file of JSON lines, - for stdin, or env:NAME",
    },
    prefix: {
      type: "string",
      value: "TEXT",
      help: "start of the keys in Redis [sess:]; of another bucket, the application's prefix in it",
    },
    "no-prefix": { type: "boolean", help: "the keys in Redis are the ids" },
    "to-prefix": { type: "string", value: "TEXT", help: "the application's prefix in the bucket" },
    table: { type: "string", value: "NAME", help: "table in PostgreSQL [session]" },
    "from-bucket": { type: "string", value: "NAME", help: "another bucket [sessions]" },
    "from-shards": { type: "string", value: "N", help: "how many buckets that one consists of [1]" },
    "from-domain": { type: "string", value: "NAME", help: "its JetStream domain [that of --domain]" },
    "from-api-prefix": {
      type: "string",
      value: "TEXT",
      help: "or the start of its JetStream API's subjects",
    },
    ttl: { type: "string", value: "TIME", help: "life of a session that does not say when it ends [24h]" },
    "dry-run": { type: "boolean", help: "only count what would be copied" },
  },
  formats: ["table", "json", "count"],
  prefixOption: "to-prefix",

  check: (values) => {
    sourceIn(values, process.env);
  },

  async run(invocation) {
    const { values, connection } = invocation;
    const source = await openSource(sourceIn(values, process.env), connection);
    const counts: Counts = { copied: 0, alreadyThere: 0, expired: 0, unreadable: 0 };
    try {
      await copy(invocation, source, counts);
    } catch (error) {
      const { copied } = counts;
      if (copied > 0) {
        invocation.terminal.note(`Stopped after ${counted(copied, "session")}; run it again to go on.`);
      }
      throw error;
    } finally {
      await source.close();
    }
    await report(invocation, source, counts);
  },
};

/** While one batch is stored the next one is read. */
async function copy(
  { values, terminal, connection }: Invocation,
  source: Source,
  counts: Counts,
): Promise<void> {
  const admin = connection.admin();
  const isDry = values.has("dry-run");
  // Fails before anything is read where the bucket is missing.
  await admin.position(0);
  if (values.text("from") === "-" && process.stdin.isTTY)
    terminal.note("Reading JSON lines; Ctrl-D ends them.");
  let storing: Promise<unknown> = Promise.resolve();
  for await (const batch of source.batches()) {
    await storing;
    terminal.progress(() => progressText(counts, isDry));
    storing = Promise.all(batch.map((found) => take(admin, found, isDry, counts)));
    // It is awaited after the next batch was read, which may take longer than a failure.
    storing.catch(() => {});
  }
  await storing;
  terminal.clearProgress();
}

async function take(admin: SessionAdmin, found: Found, dryRun: boolean, counts: Counts): Promise<void> {
  if (typeof found === "string") {
    counts[found]++;
    return;
  }
  try {
    const { handle, session } = found;
    const outcome = await admin.adopt(handle, session, { dryRun });
    counts[outcome === "present" ? "alreadyThere" : outcome]++;
  } catch (error) {
    if (!(error instanceof SessionStoreError) || !ITS_OWN.has(error.code)) throw error;
    counts.unreadable++;
  }
}

async function report(
  { values, format, terminal, connection }: Invocation,
  { title }: Source,
  counts: Counts,
): Promise<void> {
  const isDry = values.has("dry-run");
  const { copied, alreadyThere, expired, unreadable } = counts;
  if (format === "count") await terminal.print(String(copied));
  else if (format === "json") await terminal.print(jsonLine({ ...counts, dryRun: isDry }));
  else {
    const rows = [
      ["already there", numberText(alreadyThere)],
      ["expired", numberText(expired)],
      ["unreadable", numberText(unreadable)],
    ] as const;
    const verb = isDry ? "Would copy" : "Copied";
    await terminal.print(
      `${verb} ${counted(copied, "session")} from ${title} to ${connection.place}.`,
      ...settingLines(rows, terminal),
    );
  }
}

function progressText({ copied, alreadyThere, expired, unreadable }: Counts, isDry: boolean): string {
  const rest = [
    `${numberText(alreadyThere)} already there`,
    `${numberText(expired)} expired`,
    `${numberText(unreadable)} unreadable`,
  ];
  return `${numberText(copied)} ${isDry ? "to copy" : "copied"}, ${rest.join(", ")}`;
}
