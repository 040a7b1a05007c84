import type { StoreContext } from "../entries/store-context.js";
import type { SessionRecord } from "../types.js";
import type { OperationContext } from "../util/channels.js";
import { recordOf } from "./record.js";

/** The record of a session as it is after the writes of it that are under way in this process. */
export function loadSession<T extends object>(
  context: StoreContext,
  handle: string,
  deadline: number,
  trace?: OperationContext,
): Promise<SessionRecord<T> | null> {
  const writing = context.writes.settled(handle, deadline);
  if (writing) return writing.then(() => load<T>(context, handle, deadline, trace));
  return load(context, handle, deadline, trace);
}

function load<T extends object>(
  context: StoreContext,
  handle: string,
  deadline: number,
  trace: OperationContext | undefined,
): Promise<SessionRecord<T> | null> {
  return context.sessions
    .read(handle, deadline, trace)
    .then((session) => session && recordOf<T>(context, handle, session, deadline));
}
