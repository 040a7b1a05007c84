import { randomBytes } from "node:crypto";

export interface Settings {
  host: string;
  port: number;
  /** Addresses of NATS servers. */
  servers: string[];
  /** Signs the cookies. */
  secret: string;
  /** Whether browsers come over TLS, which a proxy in front of the application ends. */
  secure: boolean;
  /** How many sessions a person may have at a time; a sign-in beyond it ends the oldest. */
  maxSessionsPerUser: number | undefined;
}

/** Reads the settings of a login application from the environment. */
export function readSettings(env: NodeJS.ProcessEnv, defaultPort: number): Settings {
  const production = env.NODE_ENV === "production";
  return {
    host: env.HOST || "127.0.0.1",
    port: portOf(env.PORT || String(defaultPort)),
    servers: (env.NATS_URL || "nats://127.0.0.1:4222").split(",").map((url) => url.trim()),
    secret: env.SESSION_SECRET || temporarySecret(production),
    secure: production,
    maxSessionsPerUser: limitOf(env.MAX_SESSIONS_PER_USER),
  };
}

function portOf(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port > 65_535) {
    throw new TypeError(`Expected PORT to be a number from 0 to 65535, got ${text}`);
  }
  return port;
}

function limitOf(text: string | undefined): number | undefined {
  if (!text) return undefined;
  const limit = Number(text);
  if (!/^\d+$/.test(text) || limit < 1) {
    throw new TypeError(`Expected MAX_SESSIONS_PER_USER to be a whole number, at least 1, got ${text}`);
  }
  return limit;
}

function temporarySecret(production: boolean): string {
  if (production) throw new TypeError("Expected SESSION_SECRET to be set in production");
  console.warn("SESSION_SECRET is not set: everybody has to sign in again when this app restarts.");
  return randomBytes(32).toString("base64url");
}
