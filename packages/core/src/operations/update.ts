import type { StoreContext } from "../entries/store-context.js";
import { SessionStoreError } from "../errors.js";
import type { SaveResult } from "../types.js";
import { gone, type OperationContext } from "../util/channels.js";
import { now } from "../util/timers.js";
import { changeData, deserializeData } from "./application.js";
import { heldUp } from "./contention.js";
import { GONE } from "./gone.js";
import { LoadedSession } from "./loaded-session.js";
import { saveSession } from "./save.js";

/**
 * Loads a session, lets the caller change its data, and stores them, again and again until no other request has
 * written it in between.
 * @param change changes the data in place, or returns other data; it may be called more than once
 */
export async function updateSession<T extends object>(
  context: StoreContext,
  handle: string,
  change: (data: T) => unknown,
  deadline: number,
  trace?: OperationContext,
): Promise<SaveResult<T>> {
  /** @returns `undefined` when another request was faster */
  const attempt = async (): Promise<SaveResult<T> | undefined> => {
    const { session } = await context.sessions.readCurrent(handle, deadline);
    if (!session) {
      if (gone.hasSubscribers) gone.publish({ bucket: context.options.bucket, handle, operation: "update" });
      return GONE;
    }
    const data = await deserializeData<T>(context, session.value, deadline);
    const record = new LoadedSession(handle, data, session);
    const changed = ((await changeData(change, data, deadline)) ?? data) as T;
    try {
      return await saveSession(
        context,
        handle,
        changed,
        { record, keepExpiry: true, onConflict: "error" },
        deadline,
      );
    } catch (error) {
      if (error instanceof SessionStoreError && error.code === "ERR_SESSION_CONFLICT") return undefined;
      throw error;
    }
  };
  const result = context.updating.isBusy(handle) ? undefined : await attempt();
  if (result) return result;
  return context.updating.run(handle, deadline, async () => {
    for (;;) {
      if (trace) trace.attempts++;
      const late = await attempt();
      if (late) return late;
      if (now() > deadline) throw heldUp(context);
    }
  });
}
