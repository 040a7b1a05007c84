import { ChangeFeed } from "./changes/feed.js";
import { SessionWatch } from "./changes/watch.js";
import type { Context } from "./context.js";
import { NearCache } from "./entries/near-cache.js";
import { ReadYourWrites } from "./entries/read-your-writes.js";
import { Sessions } from "./entries/sessions.js";
import type { StoreContext } from "./entries/store-context.js";
import { UserIndex } from "./entries/user-index.js";
import { unavailable } from "./errors.js";
import { indexKeyStart, sessionKeyStart } from "./format/keys.js";
import { UserHasher } from "./format/user-hash.js";
import { Lifecycle } from "./lifecycle.js";
import { Buckets } from "./nats/buckets.js";
import { heldUp } from "./operations/contention.js";
import { lookUpEnd } from "./operations/end.js";
import { longTtlWarning } from "./operations/ttl.js";
import type { ResolvedOptions } from "./resolve-options.js";
import type { NatsConnectionSource } from "./types.js";
import { KeyedQueue } from "./util/keyed-queue.js";
import { Turns } from "./util/turns.js";
import { within } from "./util/within.js";

/** The parts of a store, put together. */
export interface Assembly {
  readonly context: StoreContext;
  readonly lifecycle: Lifecycle;
  readonly feed: ChangeFeed;
  readonly cache: NearCache | undefined;
  readonly watch: SessionWatch;
  /** Whether sessions move in from another store, so that this one may lack some. */
  isMigrating: boolean;
}

/** @throws TypeError for what cannot give a connection */
export function assemble(nc: NatsConnectionSource, options: ResolvedOptions): Assembly {
  const buckets = new Buckets(nc, options);
  const lifecycle = new Lifecycle(buckets, options, {
    isOpen: () => cache?.isReady ?? true,
    open: (deadline) => within(deadline, cache?.ready() ?? Promise.resolve(), () => feedIsLate(buckets)),
    close: () => {
      watch.close();
      feed.close();
      cache?.close();
    },
  });
  const base: Context = {
    options,
    buckets,
    users: new UserHasher(options.encryption?.userSecrets ?? [], options.shards),
    sessionKeyStart: sessionKeyStart(options.prefix),
    indexKeyStart: indexKeyStart(options.prefix),
    background: (task) => lifecycle.background(task),
    warnOfLongTtl: longTtlWarning(options.bucket, () => buckets.facts.maxTtl),
    pause: (ms) => lifecycle.pause(ms),
    isClosing: () => lifecycle.isClosing,
    turns: new Turns(),
  };
  const feed = new ChangeFeed(base);
  const cache = options.cache && new NearCache(feed, options.cache, options);
  const context: StoreContext = {
    ...base,
    sessions: new Sessions(base, cache),
    index: new UserIndex(base),
    writes: new ReadYourWrites(() => heldUp(base)),
    contended: new KeyedQueue<string>(() => heldUp(base)),
    updating: new KeyedQueue<string>(() => heldUp(base)),
    touching: new Map(),
    ending: new Set(),
  };
  const watch = new SessionWatch(
    feed,
    (handle, deadline) => lookUpEnd(context, handle, deadline),
    options.timeout,
  );
  return { context, lifecycle, feed, cache, watch, isMigrating: false };
}

function feedIsLate({ where }: Buckets) {
  return unavailable(`the change feed of the bucket${where} did not begin in time`);
}
