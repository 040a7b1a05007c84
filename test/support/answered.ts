import { until } from "./wait.js";

/**
 * Does what a store with a short `timeout` is to do until it is done in time: on a busy machine it may take longer,
 * which is no outage. For what comes before and after the outage that a test is about.
 */
export async function answered<T>(act: () => Promise<T>): Promise<T> {
  let answer: { readonly it: T } | undefined;
  await until("an answer within a short timeout", async () => {
    try {
      answer = { it: await act() };
    } catch (error) {
      if ((error as { code?: string }).code !== "ERR_SESSION_UNAVAILABLE") throw error;
    }
    return answer !== undefined;
  });
  return (answer as { it: T }).it;
}
