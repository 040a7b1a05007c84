export interface ServerAddress {
  readonly address: string;
  readonly port: number | undefined;
}

/** The address in what both generations of the client call their server: `host:port`, perhaps as a URL. */
export function serverAddressIn(server: string): ServerAddress {
  const text = server.replace(/^\w+:\/\//, "");
  const end = text.lastIndexOf(":");
  if (end < 0) return { address: text, port: undefined };
  return {
    address: text.slice(0, end).replace(/^\[|\]$/g, ""),
    port: Number(text.slice(end + 1)) || undefined,
  };
}
