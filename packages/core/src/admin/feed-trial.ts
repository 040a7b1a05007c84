import type { StoreContext } from "../entries/store-context.js";
import { unavailable } from "../errors.js";
import { encodeTombstone } from "../format/metadata.js";
import type { Bucket } from "../nats/bucket.js";
import { now } from "../util/timers.js";
import { within } from "../util/within.js";

/** Key of the one entry that trials write, each over the one before. It is no session's key. */
const KEY = "doctor";

/** How long the entry stays where the server keeps a TTL for each message, in s. */
const TTL = 60;

/**
 * Writes a tombstone, under a key that is no session's, and waits until the feed reports it.
 * @returns how long after the call of the write the report came, in ms
 * @throws `ERR_SESSION_NO_FEED`, `ERR_SESSION_PERMISSION`, `ERR_SESSION_UNAVAILABLE` where no report came in time
 */
export async function tryFeed(context: StoreContext, bucket: Bucket, deadline: number): Promise<number> {
  const { prefix } = context.options;
  const { where } = context.buckets;
  const key = prefix === undefined ? KEY : `${prefix}.${KEY}`;
  const reported = new Map<number, number>();
  let onReport: (() => void) | undefined;
  let onFailure: ((error: Error) => void) | undefined;
  const failed = new Promise<never>((_resolve, reject) => {
    onFailure = reject;
  });
  failed.catch(() => {});
  const stop = bucket.watch({
    message: (message) => {
      if (message.key !== key) return;
      reported.set(message.sequence, now());
      onReport?.();
    },
    disconnected: () => {},
    reconnected: () => {},
    failed: (error) => onFailure?.(error),
  });
  try {
    const late = () => unavailable(`the bucket${where} took no write in time`);
    const writing = Promise.race([failed, write(bucket, key, deadline)]);
    const written = await within(deadline, writing, late);
    if (!written) throw late();
    const { revision, writtenAt } = written;
    const report = new Promise<void>((resolve) => {
      onReport = () => {
        if (reported.has(revision)) resolve();
      };
      onReport();
    });
    await within(deadline, Promise.race([failed, report]), () =>
      unavailable(`the change feed of the bucket${where} did not report a write in time`),
    );
    return (reported.get(revision) as number) - writtenAt;
  } finally {
    stop();
  }
}

/** @returns `undefined` where there was no answer in time */
async function write(
  bucket: Bucket,
  key: string,
  deadline: number,
): Promise<{ readonly revision: number; readonly writtenAt: number } | undefined> {
  const headers = encodeTombstone({ createdAt: 0, expiresAt: 0 });
  while (now() < deadline) {
    const expected = (await bucket.entries.readCurrent(key, deadline))?.revision ?? 0;
    const writtenAt = now();
    const revision = await bucket.entries.remove({ key, headers, expected, ttlSeconds: TTL }, deadline);
    // Another trial was faster, or the answer was lost: either way the next one builds on what is there.
    if (typeof revision === "number") return { revision, writtenAt };
  }
  return undefined;
}
