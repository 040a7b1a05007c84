import type { SessionStoreOptions } from "nats-session-store";
import type { Party } from "./flows/parties.mjs";

/** Options by what follows the store's name. */
export const natsVariants: Record<string, SessionStoreOptions>;

/** How many messages each flow makes the store send, by its name. */
export function messagesOf(
  framework: "express" | "koa",
  start: (isDue: boolean) => Promise<Party>,
): Promise<Record<string, number>>;
