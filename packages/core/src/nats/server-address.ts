import type { NatsConnectionLike } from "../types.js";

export interface ServerAddress {
  readonly address: string;
  readonly port: number | undefined;
}

/** Where a connection leads to, by both generations of the client; nothing where the client does not tell. */
export function serverAddressOf(nc: NatsConnectionLike): ServerAddress | undefined {
  const server = nc.getServer?.();
  if (!server) return undefined;
  const text = server.replace(/^\w+:\/\//, "");
  const end = text.lastIndexOf(":");
  if (end < 0) return { address: text, port: undefined };
  return {
    address: text.slice(0, end).replace(/^\[|\]$/g, ""),
    port: Number(text.slice(end + 1)) || undefined,
  };
}
