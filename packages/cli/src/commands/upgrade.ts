import type { BucketPlan } from "nats-session-store/admin";
import type { Command } from "../command.js";
import { CommandError, EXIT } from "../exit.js";
import { confirm, requireConfirmable } from "../input/confirm.js";
import type { Terminal } from "../output/terminal.js";
import { counted, jsonLine } from "../output/text.js";
import { BUCKET_OPTIONS, bucketOptionsIn } from "./bucket-options.js";
import { settingLines, settingText } from "./settings.js";

export const upgrade: Command = {
  name: "upgrade",
  usage: "[--replicas N] [--max-bytes SIZE] …",
  summary: "bring the bucket to what this version wants",
  details:
    "Prints each setting that it would change before it changes any. Sessions and running processes stay.",
  options: BUCKET_OPTIONS,
  formats: ["table", "json"],

  check: (values) => {
    bucketOptionsIn(values);
    requireConfirmable(values);
  },

  async run({ values, terminal, connection, format }) {
    const { title } = connection;
    const wanted = bucketOptionsIn(values);
    const admin = connection.admin(wanted);
    const plans = await Promise.all(
      admin.buckets.map(async (bucket, shard) => ({ bucket, ...(await admin.plan(shard)) })),
    );
    if (plans.some(({ exists }) => !exists)) {
      throw new CommandError(`There is no bucket ${title}; nats-sessions init makes it`);
    }
    for (const plan of plans) requireFixable(plan, plan.bucket);
    const isDry = values.has("dry-run");
    const count = plans.reduce((sum, { changes }) => sum + changes.length, 0);
    const isNeeded = count > 0;
    if (format === "table") {
      await terminal.print(...plans.flatMap((plan) => linesOf(plan, plan.bucket, terminal)));
    }
    if (isNeeded && !isDry) {
      const question = `Change ${counted(count, "setting")} of the bucket ${title}?`;
      if (!(await confirm(question, values, terminal))) {
        terminal.note("Nothing was changed.");
        return EXIT.failed;
      }
      await connection.store({ ...wanted, updateBucket: true }).ready();
    }
    const isDone = isNeeded && !isDry;
    if (format === "json") {
      const lineOf = ({ bucket, changes }: (typeof plans)[number]) =>
        jsonLine({ bucket, changed: isDone && changes.length > 0, dryRun: isDry, changes });
      await terminal.print(...plans.map(lineOf));
    } else if (isDone) await terminal.print(`Changed the bucket ${title}.`);
  },
};

function requireFixable({ differences }: BucketPlan, bucket: string): void {
  const final = differences.filter(({ fixable }) => !fixable);
  if (final.length === 0) return;
  const texts = final.map(
    ({ field, found, wanted, why }) =>
      `${field} is ${settingText(field, found)}, expected ${settingText(field, wanted)} (${why})`,
  );
  throw new CommandError(
    `The bucket "${bucket}" cannot be changed in place: ${texts.join("; ")}. Use another bucket, or other options`,
  );
}

function linesOf({ changes, differences }: BucketPlan, bucket: string, terminal: Terminal): string[] {
  if (changes.length === 0) return [`The bucket "${bucket}" is as this version wants it.`];
  const rows = changes.map(({ field, from, to }) => {
    const why = differences.find((difference) => difference.field === field)?.why;
    const text = `${settingText(field, from)} → ${settingText(field, to)}`;
    return [field, why === undefined ? text : `${text}  (${why})`] as const;
  });
  return [`In the bucket "${bucket}" will change:`, ...settingLines(rows, terminal)];
}
