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
    const admin = connection.admin(wanted);
    const plans = await Promise.all(admin.buckets.map((_name, shard) => admin.plan(shard)));
    const plan = plans.find(({ exists }) => !exists);
    if (!plan) return existing(invocation, plans);
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
    else if (!isDry) await terminal.print(`Made the bucket ${connection.title}.`);
  },
};

async function existing(
  { terminal, connection, format, values }: Invocation,
  plans: readonly BucketPlan[],
): Promise<undefined> {
  const { bucket, title } = connection;
  const number = Math.max(...plans.map((plan) => plan.differences.length + Number(plan.lacksFeed)));
  if (number > 0) {
    throw new CommandError(
      `The bucket ${title} is there already and differs in ${counted(number, "setting")}; see nats-sessions upgrade --dry-run`,
    );
  }
  const isDry = values.has("dry-run");
  if (format === "json")
    await terminal.print(jsonLine({ bucket, created: false, dryRun: isDry, config: plans[0]?.config }));
  else await terminal.print(`The bucket ${title} is there already, as it is wanted.`);
}
