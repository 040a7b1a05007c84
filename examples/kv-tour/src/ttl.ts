import { type KV, Kvm } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";

/** How long the marker of an expired key tells those who were away about it, in ms. */
const MARKER_TTL = 600_000;

/**
 * Opens a bucket whose keys may each have a TTL, and creates it where it is missing. `markerTTL` is what turns
 * that on.
 * @throws where the server (before 2.11) or an existing bucket does not know such TTLs: it would take the TTL,
 * ignore it, and keep the key for ever.
 */
export async function openTtlBucket(nc: NatsConnection, bucket: string): Promise<KV> {
  const kv = await new Kvm(nc).create(bucket, { markerTTL: MARKER_TTL });
  const { streamInfo } = await kv.status();
  if (!streamInfo.config.allow_msg_ttl) {
    throw new Error(
      `The bucket "${bucket}" keeps no TTL per key: it needs nats-server 2.11 and to be created with \`markerTTL\`.`,
    );
  }
  return kv;
}

/**
 * A TTL in milliseconds as the server wants it, for example `5s`.
 * @throws TypeError where it is not a whole number of seconds, at least one
 */
export function serverTtl(ttl: number): string {
  if (!Number.isInteger(ttl / 1000) || ttl < 1000) {
    throw new TypeError(
      `Expected \`ttl\` in milliseconds, a whole number of seconds from 1000 on, got ${ttl}`,
    );
  }
  return `${ttl / 1000}s`;
}
