import { Recorder } from "../audit/recorder.js";
import { type AuditEvent, type AuditRecord, AuditTrail } from "../audit/trail.js";
import { trailError } from "../audit/trail-error.js";
import type { Command, Invocation } from "../command.js";
import { UsageError } from "../exit.js";
import type { Values } from "../input/arguments.js";
import { durationIn } from "../input/units.js";
import { type Column, rowWriter } from "../output/format.js";
import type { Style } from "../output/terminal.js";
import { isoTime, shortTime } from "../output/text.js";

const YEAR = 365 * 86_400_000;

interface Row {
  readonly record: AuditRecord;
  readonly user: string | undefined;
}

const STYLES: { readonly [event in AuditEvent]: Style } = {
  "signed-in": "green",
  "signed-out": "red",
  expired: "yellow",
  renewed: "blue",
};

export const audit: Command = {
  name: "audit",
  usage: "[--user NAME] [--since TIME] [--limit N] | --record [--keep TIME] [--replicas N]",
  summary: "who signed in and out when, from an audit trail; --record writes it",
  details:
    "The trail is a stream of its own. --record makes it where it is missing, writes what happened since it was last " +
    "written, and then what happens, until Ctrl-C. Records of sessions without a user are not kept.",
  options: {
    user: { type: "string", value: "NAME", help: "only this user's sessions" },
    since: { type: "string", value: "TIME", help: "only what happened since so long ago, such as 7d" },
    limit: { type: "string", value: "N", help: "at most so many records" },
    stream: { type: "string", value: "NAME", help: "name of the trail's stream [session-audit-BUCKET]" },
    record: { type: "boolean", help: "write the trail, until Ctrl-C" },
    keep: { type: "string", value: "TIME", help: "how long a new trail keeps its records [365d]" },
    replicas: { type: "string", value: "N", help: "copies of a new trail [1]" },
  },
  formats: ["table", "json", "csv", "ids", "count"],
  isEndless: (values) => values.has("record"),

  check: (values) => {
    settingsIn(values);
    const wrong = values.has("record") ? ["user", "since", "limit"] : ["keep", "replicas"];
    const found = wrong.find((name) => values.has(name));
    if (found === undefined) return;
    throw new UsageError(`Expected --${found} ${values.has("record") ? "without" : "with"} --record`);
  },

  async run(invocation) {
    const { values, connection } = invocation;
    const stream = values.text("stream") ?? defaultStream(invocation);
    const nc = await connection.nats();
    try {
      const trail = await AuditTrail.of(nc, stream, connection.api);
      if (values.has("record")) await record(invocation, trail, stream);
      else await show(invocation, trail);
    } catch (error) {
      throw trailError(error, connection.servers);
    }
  },
};

async function show({ values, format, terminal, connection }: Invocation, trail: AuditTrail): Promise<void> {
  await trail.require();
  const { since, limit } = settingsIn(values);
  const user = values.text("user");
  const hashes = user === undefined ? undefined : connection.admin().hashesOf(user);
  const from = since === undefined ? undefined : Date.now() - since;
  const writer = rowWriter(format, terminal, columns(user !== undefined), ({ record }) => record.handle);
  for await (const record of trail.read(hashes, from)) {
    await writer.write([{ record, user }]);
    if (writer.count >= limit) break;
    terminal.progress(() => `${writer.count} records read`);
  }
  terminal.clearProgress();
  await writer.end();
  if (writer.count === 0 && format === "table") terminal.note("No records.");
}

async function record(
  { values, format, terminal, connection }: Invocation,
  trail: AuditTrail,
  stream: string,
): Promise<void> {
  const store = connection.store();
  // What is wrong with the bucket is said before a stream is made.
  await store.ready();
  const { keep = YEAR, replicas = 1 } = settingsIn(values);
  if (await trail.create({ keep, replicas })) terminal.note(`Made the audit trail "${stream}".`);
  const writer = rowWriter(format, terminal, columns(false), ({ record }) => record.handle);
  const recorder = new Recorder(trail, store, connection.admin(), (record) => {
    void writer.write([{ record, user: undefined }]);
  });
  await recorder.run(() => terminal.note(`Recording ${connection.place} into "${stream}"; Ctrl-C ends it.`));
}

function settingsIn(values: Values) {
  return {
    since: durationIn(values, "since"),
    limit: values.wholeNumber("limit") ?? Number.POSITIVE_INFINITY,
    keep: durationIn(values, "keep"),
    replicas: values.wholeNumber("replicas", 1, 5),
    stream: streamIn(values),
  };
}

function streamIn(values: Values): string | undefined {
  const name = values.text("stream");
  if (name === undefined || /^[A-Za-z0-9_-]{1,200}$/.test(name)) return name;
  throw new UsageError("Expected --stream to be letters, digits, - and _");
}

/** Sessions of another prefix have a trail of their own. */
function defaultStream({ values, connection }: Invocation): string {
  const prefix = values.text("prefix");
  const end = prefix === undefined ? "" : `-${prefix.replaceAll(/[^A-Za-z0-9_-]/g, "_")}`;
  return `session-audit-${connection.bucket}${end}`;
}

function columns(withUser: boolean): readonly Column<Row>[] {
  return [
    {
      name: "at",
      value: ({ record }) => isoTime(record.at),
      table: { title: "TIME", width: 20, text: ({ record }) => shortTime(record.at) },
    },
    {
      name: "event",
      value: ({ record }) => record.event,
      table: { title: "EVENT", width: 10, style: ({ record }) => STYLES[record.event] },
    },
    {
      name: "user",
      value: ({ user }) => user ?? null,
      ...(withUser ? { table: { title: "USER", width: 16 } } : {}),
    },
    {
      name: "userHash",
      value: ({ record }) => record.userHash,
      ...(withUser ? {} : { table: { title: "USER (HASHED)", width: 43 } }),
    },
    {
      name: "handle",
      value: ({ record }) => record.handle,
      table: { title: "HANDLE", width: 43 },
    },
    {
      name: "movedTo",
      value: ({ record }) => record.movedTo ?? null,
      table: {
        title: "",
        width: 0,
        text: ({ record }) => (record.movedTo === undefined ? "" : `continues as ${record.movedTo}`),
      },
    },
    { name: "revision", value: ({ record }) => record.revision },
  ];
}
