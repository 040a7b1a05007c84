import { headers } from "@nats-io/nats-core";
import { PATIENCE } from "./patient.js";

/** What this needs of a connection of either client generation. */
export interface Requester {
  request(
    subject: string,
    payload: Uint8Array,
    options: { timeout: number; headers?: never },
  ): Promise<{ data: Uint8Array }>;
}

/** Stores an entry past the store, as any client may; the server has it when this resolves. */
export async function putEntry(
  nc: Requester,
  bucket: string,
  key: string,
  value: string | Uint8Array,
  list: Record<string, string> = {},
): Promise<void> {
  const sent = headers();
  for (const [name, text] of Object.entries(list)) sent.set(name, text);
  const payload = typeof value === "string" ? Buffer.from(value) : value;
  const { data } = await nc.request(`$KV.${bucket}.${key}`, payload, {
    timeout: PATIENCE,
    headers: sent as never,
  });
  const { error } = JSON.parse(Buffer.from(data).toString()) as { error?: { description: string } };
  if (error) throw new Error(`Not stored: ${error.description}`);
}
