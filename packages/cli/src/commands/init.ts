import type { BucketPlan } from "nats-session-store/admin";
import type { Command, Invocation } from "../command.js";
import { CommandError, EXIT } from "../exit.js";
import { confirm, requireConfirmable } from "../input/confirm.js";
import { counted, jsonLine } from "../output/text.js";
import { BUCKET_OPTIONS, bucketOptionsIn, NEW_BUCKET_OPTIONS } from "./bucket-options.js";
import { settingLines, settingText } from "./settings.js";

export const init: Command = {
  name: "init",
  usage: "[--replicas N] [--max-bytes SIZE] …",
  summary: "make the bucket",
  details:
    "Prints the settings of the new bucket before it makes it. A bucket that is there already is left alone.",
  options: { ...BUCKET_OPTIONS, ...NEW_BUCKET_OPTIONS },
  formats: ["table", "json"],

  check: (values) => {
    bucketOptionsIn(values);
    requireConfirmable(values);
  },

  async run(invocation) {
    const { values, terminal, connection, format } = invocation;
    const wanted = bucketOptionsIn(values);
    const plan = await connection.admin(wanted).plan();
    if (plan.exists) return existing(invocation, plan);
    if (format === "table") {
      const rows = Object.entries(plan.config).map(
        ([field, value]) => [field, settingText(field, value)] as const,
      );
      await terminal.print(`The bucket ${connection.title} will have:`, ...settingLines(rows, terminal));
    }
    const isDry = values.has("dry-run");
    if (!isDry) {
      if (!(await confirm(`Make the bucket ${connection.title}?`, values, terminal))) {
        terminal.note("Nothing was made.");
        return EXIT.failed;
      }
      await connection.store({ ...wanted, createBucket: true }).ready();
    }
    const { bucket } = connection;
    if (format === "json")
      await terminal.print(jsonLine({ bucket, created: !isDry, dryRun: isDry, config: plan.config }));
    else if (!isDry) await terminal.print(`Made the bucket "${bucket}".`);
  },
};

async function existing(
  { terminal, connection, format, values }: Invocation,
  plan: BucketPlan,
): Promise<undefined> {
  const { bucket } = connection;
  const number = plan.differences.length + Number(plan.lacksFeed);
  if (number > 0) {
    throw new CommandError(
      `The bucket "${bucket}" is there already and differs in ${counted(number, "setting")}; see nats-sessions upgrade --dry-run`,
    );
  }
  const isDry = values.has("dry-run");
  if (format === "json")
    await terminal.print(jsonLine({ bucket, created: false, dryRun: isDry, config: plan.config }));
  else await terminal.print(`The bucket "${bucket}" is there already, as it is wanted.`);
}
