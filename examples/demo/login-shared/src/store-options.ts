import type { SessionStoreOptions } from "nats-session-store";
import type { LoginSession } from "./session-data.js";
import type { Settings } from "./settings.js";

/** Both applications open the same bucket and name its users alike, so each knows of the other's sessions. */
export function storeOptions(settings: Pick<Settings, "maxSessionsPerUser">): SessionStoreOptions {
  const { maxSessionsPerUser } = settings;
  return { user: (session: LoginSession) => session.userId, maxSessionsPerUser };
}
