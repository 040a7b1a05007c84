import { isHandle } from "./key.js";
import { HEADER, type WriteKind } from "./record.js";
import type { ChangeType, SessionChange } from "./types.js";

/** A write to the bucket, as the feed or an entry tells of it. */
export interface Told {
  readonly key: string;
  readonly sequence: number;
  /** The value of a header, or an empty string. */
  readonly header: (name: string) => string;
  readonly writtenAt: () => number;
}

const TYPES: { readonly [write in WriteKind]: ChangeType } = {
  create: "created",
  update: "updated",
  touch: "touched",
  destroy: "destroyed",
};

/** The change of a session that a write stands for; nothing where it is another kind of entry. */
export function changeOf(
  { key, sequence, header, writtenAt }: Told,
  keyStart: string,
): SessionChange | undefined {
  const handle = key.startsWith(keyStart) ? key.slice(keyStart.length) : "";
  const type = typeOf(header);
  if (!type || !isHandle(handle)) return undefined;
  const owner = header(HEADER.owner);
  return { type, handle, owner: owner === "" ? undefined : owner, revision: sequence, at: writtenAt() };
}

function typeOf(header: Told["header"]): ChangeType | undefined {
  // The server's own marker (ADR-43) has no header of ours.
  if (header("Nats-Marker-Reason") === "MaxAge") return "expired";
  // A deletion by another client, such as `nats kv del`, has none either.
  if (header("KV-Operation") !== "") return "destroyed";
  const write = header(HEADER.write);
  return Object.hasOwn(TYPES, write) ? TYPES[write as WriteKind] : undefined;
}
