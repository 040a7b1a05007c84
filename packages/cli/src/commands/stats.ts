import { setTimeout as sleep } from "node:timers/promises";
import type { SessionChanges } from "nats-session-store";
import type { Command, Invocation } from "../command.js";
import { UsageError } from "../exit.js";
import type { Values } from "../input/arguments.js";
import { durationIn } from "../input/units.js";
import { numberText } from "../output/text.js";
import { Rates } from "../stats/rates.js";
import { StatsScreen, statsWriter } from "../stats/report.js";
import { countTotals, estimateTotals, type Totals } from "../stats/totals.js";

const INTERVAL = 2000;

/** Least time between two counts of the whole bucket, in ms, and in times of what a count takes. */
const RECOUNT = 10_000;
const RECOUNT_SHARE = 10;

export const stats: Command = {
  name: "stats",
  usage: "[--exact] [--watch [--interval TIME]]",
  summary: "count sessions, users, bytes, and what happens in a minute",
  details:
    "Of more than 4 000 entries it looks at some and estimates the rest in constant time; --exact reads every one. " +
    "With --watch the change feed counts what happens, and everything else is counted again from time to time.",
  options: {
    exact: { type: "boolean", help: "read every entry" },
    watch: { type: "boolean", help: "go on until Ctrl-C, with a chart on a terminal" },
    interval: { type: "string", value: "TIME", help: "with --watch: time between two reports [2s]" },
  },
  formats: ["table", "json", "csv"],
  isEndless: (values) => values.has("watch"),

  check: (values) => {
    durationIn(values, "interval");
    if (values.has("interval") && !values.has("watch"))
      throw new UsageError("Expected --watch with --interval");
  },

  async run(invocation) {
    if (invocation.values.has("watch")) return watchStats(invocation);
    const { format, terminal, connection } = invocation;
    const totals = await count(invocation);
    const row = { bucket: connection.bucket, totals, activity: totals.lastMinute, at: totals.at };
    await statsWriter(format, terminal)(row);
  },
};

async function count({ values, terminal, connection }: Invocation): Promise<Totals> {
  const totals = await totalsOf(values)(connection.admin(), (read, total) =>
    terminal.progress(() => `${numberText(read)} of about ${numberText(total)} entries read`),
  );
  terminal.clearProgress();
  return totals;
}

function totalsOf(values: Values): typeof countTotals {
  return values.has("exact") ? countTotals : estimateTotals;
}

async function watchStats(invocation: Invocation): Promise<never> {
  const { values, format, terminal, connection } = invocation;
  const interval = durationIn(values, "interval") ?? INTERVAL;
  const changes = connection.store().changes();
  await changes.ready;
  const rates = new Rates();
  const following = follow(changes, rates);
  const screen = format === "table" && terminal.isInteractive ? new StatsScreen(terminal) : undefined;
  const write = statsWriter(format, terminal);

  let totals = await count(invocation);
  let recount: Promise<void> | undefined;
  let nextCount = performance.now() + RECOUNT;
  const begin = async () => {
    const started = performance.now();
    totals = await totalsOf(values)(connection.admin(), () => {});
    const ended = performance.now();
    nextCount = ended + Math.max(RECOUNT, RECOUNT_SHARE * (ended - started));
    recount = undefined;
  };
  for (;;) {
    const at = Date.now();
    const row = { bucket: connection.bucket, totals, activity: rates.lastMinute(at), at };
    await (screen ? screen.draw(row, rates.perSecond(at), rates.missed) : write(row));
    if (!recount && performance.now() >= nextCount) recount = begin();
    // A failure of the feed, or of a count, ends the command.
    await Promise.race([
      sleep(interval),
      following,
      ...(recount ? [recount.then(() => sleep(interval))] : []),
    ]);
  }
}

async function follow(changes: SessionChanges, rates: Rates): Promise<never> {
  for await (const event of changes) rates.add(event, Date.now());
  throw new Error("The change feed ended");
}
