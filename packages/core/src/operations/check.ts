import type { ChangeFeed } from "../changes/feed.js";
import type { Context } from "../context.js";
import { unavailable } from "../errors.js";
import type { CheckOptions, CheckResult, FeedState } from "../types.js";
import { now } from "../util/timers.js";
import { within } from "../util/within.js";

/**
 * Requests are given up a little before their deadline, up to so many ms: too early for a check that may take no
 * longer itself.
 */
const GIVEN_UP_EARLY = 100;

/**
 * How long a check may take, in ms.
 * @throws TypeError for what is no time
 */
export function checkTimeout({ timeout }: CheckOptions, { options }: Context): number {
  if (timeout === undefined) return options.timeout;
  if (Number.isFinite(timeout) && timeout > 0) return Math.min(timeout, options.timeout);
  const given = typeof timeout === "number" ? timeout : typeof timeout;
  throw new TypeError(`Expected \`timeout\` to be a positive number of milliseconds, got ${given}`);
}

/** Asks the leader of each bucket for its state, as every save depends on it. It writes nothing. */
export async function checkBucket(
  { buckets }: Context,
  feed: ChangeFeed,
  deadline: number,
): Promise<CheckResult> {
  const since = now();
  const asking = Promise.all(buckets.all.map(({ entries }) => entries.freshState(deadline + GIVEN_UP_EARLY)));
  const { server, name, where } = buckets;
  const states = await within(deadline, asking, () => {
    const ms = Math.round(deadline - since);
    return unavailable(`the leader of the bucket${where} did not answer within ${ms} ms`);
  });
  return {
    latency: now() - since,
    server: server && (server.port === undefined ? server.address : `${server.address}:${server.port}`),
    bucket: name,
    leader: [...new Set(states.map(({ leader }) => leader))].join(", "),
    feed: feedState(
      feed,
      buckets.all.every(({ facts }) => facts.changes !== undefined),
    ),
  };
}

function feedState(feed: ChangeFeed, exists: boolean): FeedState {
  if (!exists) return "none";
  if (!feed.isFollowed) return "idle";
  return feed.isCut ? "cut" : "live";
}
