import type { Context, StoredSession } from "../context.js";
import { deserializeData } from "./application.js";
import { LoadedSession } from "./loaded-session.js";

/** The record of a stored session, at once where the serializer answers at once. @throws `ERR_SESSION_CORRUPT` */
export function recordOf<T extends object>(
  context: Context,
  handle: string,
  session: StoredSession,
  deadline: number,
): LoadedSession<T> | Promise<LoadedSession<T>> {
  const data = deserializeData<T>(context, session.value, deadline);
  return data instanceof Promise
    ? data.then((data) => new LoadedSession(handle, data, session))
    : new LoadedSession(handle, data, session);
}
