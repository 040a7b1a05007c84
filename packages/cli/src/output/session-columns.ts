import type { EntryInfo } from "nats-session-store/admin";
import type { Column } from "./format.js";
import { bytesText, durationText, isoTime, shortTime } from "./text.js";

/** A session in a list, with the name of its user where the list was asked for by name. */
export interface SessionRow {
  readonly info: EntryInfo;
  readonly user: string | undefined;
}

/**
 * What a list tells of a session.
 * @param withUser whether the table has a column for the user
 */
export function sessionColumns(withUser: boolean): readonly Column<SessionRow>[] {
  return [
    {
      name: "handle",
      value: ({ info }) => info.handle ?? null,
      table: { title: "HANDLE", width: 43 },
    },
    {
      name: "user",
      value: ({ user }) => user ?? null,
      ...(withUser ? { table: { title: "USER", width: 16 } } : {}),
    },
    { name: "userHash", value: ({ info }) => info.userHash ?? null },
    {
      name: "createdAt",
      value: ({ info }) => isoTime(info.createdAt),
      table: { title: "CREATED", width: 20, text: ({ info }) => shortTime(info.createdAt) },
    },
    {
      name: "lastWriteAt",
      value: ({ info }) => isoTime(info.lastWriteAt),
      table: { title: "LAST WRITE", width: 20, text: ({ info }) => shortTime(info.lastWriteAt) },
    },
    {
      name: "expiresAt",
      value: ({ info }) => isoTime(info.expiresAt),
      table: {
        title: "EXPIRES IN",
        width: 10,
        align: "right",
        text: ({ info }) => durationText((info.expiresAt ?? 0) - Date.now()),
      },
    },
    {
      name: "bytes",
      value: ({ info }) => info.bytes,
      table: { title: "SIZE", width: 9, align: "right", text: ({ info }) => bytesText(info.bytes) },
    },
    {
      name: "keyId",
      value: ({ info }) => info.keyId ?? null,
      table: { title: "KEY", width: 12, text: ({ info }) => info.keyId ?? "plain" },
    },
    { name: "revision", value: ({ info }) => info.revision },
  ];
}
