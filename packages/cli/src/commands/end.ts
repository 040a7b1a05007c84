import { type SessionStore, SessionStoreError } from "nats-session-store";
import type { SessionAdmin } from "nats-session-store/admin";
import type { Command, Invocation } from "../command.js";
import { CommandError, EXIT, UsageError } from "../exit.js";
import type { Values } from "../input/arguments.js";
import { confirm, requireConfirmable } from "../input/confirm.js";
import { checkHandle } from "../input/handle.js";
import { counted, jsonLine, numberText, printable, shortTime } from "../output/text.js";

export const end: Command = {
  name: "end",
  usage: "HANDLE | --user NAME [--except HANDLE] | --all",
  summary: "end sessions for good, as a sign-out does",
  options: {
    user: { type: "string", value: "NAME", help: "end the sessions of this user" },
    except: { type: "string", value: "HANDLE", help: "but not this one" },
    all: { type: "boolean", help: "end every session" },
    yes: { type: "boolean", help: "do not ask" },
    "dry-run": { type: "boolean", help: "only say what would be ended" },
  },
  formats: ["table", "json", "count"],

  check: (values, positionals) => {
    checkTarget(values, positionals);
    requireConfirmable(values);
  },

  async run(invocation) {
    const { values, positionals } = invocation;
    const [handle] = positionals;
    if (handle !== undefined) return endOne(invocation, handle);
    const user = values.text("user");
    return user === undefined ? endAll(invocation) : endUser(invocation, user, values.text("except"));
  },
};

function checkTarget(values: Values, positionals: readonly string[]): void {
  const targets = positionals.length + Number(values.has("user")) + Number(values.has("all"));
  if (targets !== 1) throw new UsageError("Expected one of: end HANDLE, end --user NAME, end --all");
  if (values.has("except") && !values.has("user")) throw new UsageError("Expected --user with --except");
  for (const handle of [...positionals, ...values.all("except")]) checkHandle(handle);
}

async function endOne(invocation: Invocation, handle: string): Promise<number | undefined> {
  const { values, terminal, connection } = invocation;
  const details = await connection.admin().find(handle);
  if (!details || (details.info.state !== "live" && details.info.state !== "unreadable")) {
    throw new CommandError("There is no live session with this handle");
  }
  if (values.has("dry-run")) return report(invocation, 1);
  const { createdAt } = details.info;
  const which = createdAt === undefined ? "" : `, created ${shortTime(createdAt)}`;
  if (!(await confirm(`End the session ${handle}${which}?`, values, terminal))) return declined(invocation);
  const ended = await connection.store().destroyByHandle(handle);
  return report(invocation, ended ? 1 : 0);
}

async function endUser(
  invocation: Invocation,
  user: string,
  except: string | undefined,
): Promise<number | undefined> {
  const { values, terminal, connection } = invocation;
  const admin = connection.admin();
  const found = await countOf(admin, user, except);
  if (values.has("dry-run")) return report(invocation, found);
  if (found === 0) return report(invocation, 0);
  const question = `End ${counted(found, "session")} of "${printable(user)}" in ${connection.place}?`;
  if (!(await confirm(question, values, terminal))) return declined(invocation);
  return report(invocation, await endSessionsOf(connection.store(), admin, user, except));
}

/** A user may have more sessions than one operation can end in its time: it is repeated while it gets on. */
async function endSessionsOf(
  store: SessionStore,
  admin: SessionAdmin,
  user: string,
  except: string | undefined,
): Promise<number> {
  let left = await countOf(admin, user, except);
  for (let ended = 0; ; ) {
    try {
      return ended + (await store.destroyByUser(user, { except }));
    } catch (error) {
      if (!(error instanceof SessionStoreError) || error.code !== "ERR_SESSION_UNAVAILABLE") throw error;
      const still = await countOf(admin, user, except);
      if (still >= left) throw error;
      ended += left - still;
      left = still;
    }
  }
}

async function countOf(admin: SessionAdmin, user: string, except: string | undefined): Promise<number> {
  let count = 0;
  for await (const batch of admin.userSessions(user)) {
    for (const { handle } of batch) if (handle !== except) count++;
  }
  return count;
}

async function endAll(invocation: Invocation): Promise<number | undefined> {
  const { values, terminal, connection } = invocation;
  const admin = connection.admin();
  const isDry = values.has("dry-run");
  const entries = await admin.countEntries();
  const question = `End all sessions in ${connection.place} (the bucket holds ${numberText(entries)} entries)?`;
  if (!isDry && !(await confirm(question, values, terminal))) return declined(invocation);
  const store = connection.store();
  let [read, ended] = [0, 0];
  for await (const batch of admin.entries("sessions")) {
    const open = batch.filter(({ state }) => state !== "ended");
    const wereLive = await Promise.all(
      open.map(({ handle, state }) => (isDry ? state !== "expired" : store.destroyByHandle(handle ?? ""))),
    );
    read += batch.length;
    ended += wereLive.filter(Boolean).length;
    const verb = isDry ? "found" : "ended";
    terminal.progress(
      () =>
        `${numberText(read)} of about ${numberText(Math.max(entries, read))} entries read, ${numberText(ended)} ${verb}`,
    );
  }
  terminal.clearProgress();
  return report(invocation, ended);
}

async function report({ values, format, terminal }: Invocation, number: number): Promise<undefined> {
  const isDry = values.has("dry-run");
  if (format === "count") await terminal.print(String(number));
  else if (format === "json")
    await terminal.print(jsonLine({ ended: isDry ? 0 : number, found: number, dryRun: isDry }));
  else await terminal.print(`${isDry ? "Would end" : "Ended"} ${counted(number, "session")}.`);
}

function declined({ terminal }: Invocation): number {
  terminal.note("Nothing was ended.");
  return EXIT.failed;
}
