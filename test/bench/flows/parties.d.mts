import type { SessionStoreOptions } from "nats-session-store";

/** An application whose store tells how many messages it has sent. */
export interface Party {
  readonly url: string;
  readonly isCached?: boolean;
  count(): Promise<number> | number;
  close(): Promise<void>;
}

export function natsParty(
  url: string,
  framework: "express" | "koa",
  options: SessionStoreOptions,
): Promise<Party>;
