import { until } from "./wait.js";

/**
 * Opens a store, or an application with one, that has a short `timeout`. On a busy machine the opening itself may
 * take longer than that, which is no outage.
 */
export async function openHasty<T>(open: () => Promise<T>): Promise<T> {
  let opened: { readonly it: T } | undefined;
  await until("an opening within a short timeout", async () => {
    try {
      opened = { it: await open() };
    } catch (error) {
      if ((error as { code?: string }).code !== "ERR_SESSION_UNAVAILABLE") throw error;
    }
    return opened !== undefined;
  });
  return (opened as { it: T }).it;
}
