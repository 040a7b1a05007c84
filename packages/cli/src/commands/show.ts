import type { EntryInfo, SessionDetails } from "nats-session-store/admin";
import type { Command } from "../command.js";
import { CommandError, UsageError } from "../exit.js";
import { checkHandle } from "../input/handle.js";
import { bytesText, durationText, isoTime, jsonLine, printable, shortTime } from "../output/text.js";

export const show: Command = {
  name: "show",
  usage: "HANDLE [--data]",
  summary: "show all that is known of one session",
  details: "Of the session's data it shows the names of the keys; with --data the values too.",
  options: { data: { type: "boolean", help: "show the session's data" } },
  formats: ["table", "json"],

  check: (_values, positionals) => {
    handleIn(positionals);
  },

  async run({ values, positionals, format, terminal, connection }) {
    const details = await connection.admin().find(handleIn(positionals));
    if (!details) throw new CommandError("There is no such session, and no trace of one");
    const withData = values.has("data");
    if (format === "json") {
      await terminal.print(jsonLine(objectOf(details, withData)));
    } else {
      const facts = factsOf(details);
      const width = Math.max(...facts.map(([name]) => name.length));
      await terminal.print(
        ...facts.map(([name, text]) => `${terminal.style("bold", name.padEnd(width))}  ${printable(text)}`),
      );
      if (withData && details.data) {
        // Line by line, for the breaks are wanted.
        await terminal.print("", ...JSON.stringify(details.data, undefined, 2).split("\n").map(printable));
      }
    }
    if (withData && details.problem) throw details.problem;
  },
};

function handleIn(positionals: readonly string[]): string {
  const [handle, ...others] = positionals;
  if (handle === undefined || others.length > 0) throw new UsageError("Expected one handle: show HANDLE");
  checkHandle(handle);
  return handle;
}

function objectOf({ info, data, problem }: SessionDetails, withData: boolean): object {
  return {
    handle: info.handle,
    state: info.state,
    userHash: info.userHash ?? null,
    createdAt: isoTime(info.createdAt),
    lastWriteAt: isoTime(info.lastWriteAt),
    lastWrite: info.lastWrite ?? null,
    expiresAt: isoTime(info.expiresAt),
    endedBy: info.endedBy ?? null,
    movedTo: info.movedTo ?? null,
    bytes: info.bytes,
    keyId: info.keyId ?? null,
    revision: info.revision,
    problem: problem?.code ?? null,
    dataKeys: data ? Object.keys(data) : null,
    ...(withData ? { data: data ?? null } : {}),
  };
}

function factsOf({ info, data, problem }: SessionDetails): [string, string][] {
  const facts: [string, string | undefined][] = [
    ["handle", info.handle],
    ["state", stateText(info)],
    ["user (hashed)", info.userHash],
    ["created", agoText(info.createdAt)],
    ["last write", `${agoText(info.lastWriteAt)}${info.lastWrite ? `, ${info.lastWrite}` : ""}`],
    ["expires", expiryText(info)],
    ["continues as", info.movedTo],
    ["size", info.state === "ended" ? undefined : bytesText(info.bytes)],
    ["key", info.state === "ended" ? undefined : (info.keyId ?? "none: stored as plain text")],
    ["revision", String(info.revision)],
    ["data", problem ? `${problem.message} (${problem.code})` : data && namesText(Object.keys(data))],
  ];
  return facts.filter((fact): fact is [string, string] => fact[1] !== undefined);
}

function stateText({ state, endedBy, movedTo }: EntryInfo): string {
  if (state !== "ended") return state;
  if (movedTo !== undefined) return "ended: it was given another id";
  return endedBy === "expired" ? "expired" : "ended";
}

function agoText(ms: number | undefined): string {
  if (ms === undefined) return "unknown";
  return `${shortTime(ms)} (${durationText(Date.now() - ms)} ago)`;
}

function expiryText({ expiresAt, state }: EntryInfo): string | undefined {
  if (expiresAt === undefined || state === "ended") return undefined;
  const left = expiresAt - Date.now();
  return `${shortTime(expiresAt)} (${left > 0 ? `in ${durationText(left)}` : "over"})`;
}

function namesText(names: readonly string[]): string {
  return names.length === 0 ? "no keys" : names.join(", ");
}
