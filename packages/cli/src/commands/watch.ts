import type { FeedEvent, SessionChange } from "nats-session-store";
import type { SessionAdmin } from "nats-session-store/admin";
import type { Command } from "../command.js";
import { type Column, rowWriter } from "../output/format.js";
import type { Style } from "../output/terminal.js";
import { isoTime, shortTime } from "../output/text.js";

/** One line of the output: a change, or what happened to the feed. */
interface Row {
  readonly type: FeedEvent["type"];
  readonly at: number;
  readonly change: SessionChange | undefined;
}

const STYLES: { readonly [type in FeedEvent["type"]]?: Style } = {
  created: "green",
  destroyed: "red",
  expired: "yellow",
  missed: "magenta",
  cut: "magenta",
  resumed: "magenta",
};

/** What the table says of the feed itself. */
const NOTICES: { readonly [type in FeedEvent["type"]]?: string } = {
  missed: "some changes may be missing here",
  cut: "the connection is down",
  resumed: "the connection is up again, nothing was lost meanwhile",
};

const COLUMNS: readonly Column<Row>[] = [
  {
    name: "at",
    value: ({ at }) => isoTime(at),
    table: { title: "TIME", width: 20, text: ({ at }) => shortTime(at) },
  },
  {
    name: "type",
    value: ({ type }) => type,
    table: { title: "CHANGE", width: 9, style: ({ type }) => STYLES[type] },
  },
  {
    name: "handle",
    value: ({ change }) => change?.handle ?? null,
    table: {
      title: "HANDLE",
      width: 43,
      text: ({ change, type }) => change?.handle ?? NOTICES[type] ?? "",
    },
  },
  { name: "userHash", value: ({ change }) => change?.userHash ?? null },
  {
    name: "movedTo",
    value: ({ change }) => change?.movedTo ?? null,
    table: {
      title: "",
      width: 0,
      text: ({ change }) => {
        if (change?.movedTo !== undefined) return `continues as ${change.movedTo}`;
        return change?.isMerge ? "merged with another request's changes" : "";
      },
    },
  },
  { name: "isMerge", value: ({ change }) => change?.isMerge === true },
  { name: "revision", value: ({ change }) => change?.revision ?? null },
];

export const watch: Command = {
  name: "watch",
  usage: "[--user NAME] [--limit N]",
  summary: "print changes of sessions as they happen, until Ctrl-C",
  options: {
    user: { type: "string", value: "NAME", help: "only changes of this user's sessions" },
    limit: { type: "string", value: "N", help: "end after so many changes" },
  },
  formats: ["table", "json", "csv", "ids"],
  isEndless: () => true,

  check: (values) => {
    values.wholeNumber("limit");
  },

  async run({ values, format, terminal, connection }) {
    const limit = values.wholeNumber("limit") ?? Number.POSITIVE_INFINITY;
    const changes = connection.store().changes();
    await changes.ready;
    const user = values.text("user");
    const isWanted = user === undefined ? () => true : await userFilter(connection.admin(), user);
    const writer = rowWriter(format, terminal, COLUMNS, ({ change }) => change?.handle ?? "");
    terminal.note(`Watching ${connection.place}; Ctrl-C ends it.`);
    let count = 0;
    for await (const event of changes) {
      const change = "handle" in event ? event : undefined;
      if (change && !isWanted(change)) continue;
      // Other programs read only handles in `ids`; that some are missing is a message then.
      if (!change && format === "ids") terminal.note(NOTICES[event.type] ?? event.type);
      else await writer.write([{ type: event.type, at: change?.at ?? Date.now(), change }]);
      if (change && ++count >= limit) return;
    }
  },
};

/** An expiry does not name the user, so the user's sessions are known by their handles. */
async function userFilter(admin: SessionAdmin, user: string): Promise<(change: SessionChange) => boolean> {
  const hashes = admin.hashesOf(user);
  const handles = new Set<string>();
  for await (const batch of admin.userSessions(user)) {
    for (const { handle } of batch) if (handle !== undefined) handles.add(handle);
  }
  return ({ handle, userHash, type }) => {
    const isTheirs = userHash === undefined ? handles.has(handle) : hashes.includes(userHash);
    const isOver = type === "destroyed" || type === "expired";
    if (isTheirs && !isOver) handles.add(handle);
    else handles.delete(handle);
    return isTheirs;
  };
}
