import type { EntryInfo, SessionAdmin } from "nats-session-store/admin";
import type { Command } from "../command.js";
import type { Values } from "../input/arguments.js";
import { durationIn } from "../input/units.js";
import { rowWriter } from "../output/format.js";
import { sessionColumns } from "../output/session-columns.js";
import { numberText } from "../output/text.js";

export const list: Command = {
  name: "list",
  usage: "[--user NAME] [--idle TIME] [--limit N]",
  summary: "list live sessions",
  options: {
    user: { type: "string", value: "NAME", help: "only the sessions of this user" },
    idle: { type: "string", value: "TIME", help: "only sessions that were not written for so long" },
    limit: { type: "string", value: "N", help: "at most so many" },
  },
  formats: ["table", "json", "csv", "ids", "count"],

  check: (values) => {
    filtersIn(values);
  },

  async run({ values, format, terminal, connection }) {
    const { user, idle, limit } = filtersIn(values);
    const admin = connection.admin();
    const writer = rowWriter(
      format,
      terminal,
      sessionColumns(user !== undefined),
      ({ info }) => info.handle ?? "",
    );
    let read = 0;
    const total = user === undefined ? await admin.countEntries() : undefined;
    for await (const batch of batchesOf(admin, user)) {
      read += batch.length;
      const isWanted = (info: EntryInfo) =>
        info.state === "live" && (idle === undefined || Date.now() - info.lastWriteAt >= idle);
      const left = limit - writer.count;
      await writer.write(
        batch
          .filter(isWanted)
          .slice(0, left)
          .map((info) => ({ info, user })),
      );
      if (writer.count >= limit) break;
      terminal.progress(() => progressText(read, total, writer.count));
    }
    terminal.clearProgress();
    await writer.end();
    if (writer.count === 0 && format === "table") terminal.note("No sessions.");
  },
};

function batchesOf(admin: SessionAdmin, user: string | undefined): AsyncIterable<EntryInfo[]> {
  return user === undefined ? admin.entries("sessions") : admin.userSessions(user);
}

function filtersIn(values: Values) {
  return {
    user: values.text("user"),
    idle: durationIn(values, "idle"),
    limit: values.wholeNumber("limit") ?? Number.POSITIVE_INFINITY,
  };
}

function progressText(read: number, total: number | undefined, found: number): string {
  const all = total === undefined ? "" : ` of about ${numberText(Math.max(total, read))}`;
  return `${numberText(read)}${all} entries read, ${numberText(found)} sessions listed`;
}
