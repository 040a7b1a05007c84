import { JetStreamApiError, jetstreamManager } from "@nats-io/jetstream";
import { type KV, Kvm, type KvOptions } from "@nats-io/kv";
import type { NatsConnection } from "@nats-io/transport-node";

const streamNotFound = 10059;

/** Creates a bucket. What an earlier run left under this name, after a crash for example, is deleted first. */
export async function emptyBucket(
  nc: NatsConnection,
  name: string,
  options: Partial<KvOptions> = {},
): Promise<KV> {
  await deleteBucket(nc, name);
  return new Kvm(nc).create(name, options);
}

/** Deletes a bucket with all its keys; it need not be there. */
export async function deleteBucket(nc: NatsConnection, name: string): Promise<void> {
  const jsm = await jetstreamManager(nc);
  try {
    await jsm.streams.delete(`KV_${name}`);
  } catch (error) {
    if (!(error instanceof JetStreamApiError && error.code === streamNotFound)) throw error;
  }
}
