/** One of several buckets that hold the sessions together. */
export interface Shard {
  /** From 0 on. */
  readonly number: number;
  /** How many there are. */
  readonly count: number;
}

/** Names in the metadata of a bucket's stream. A bucket of its own has neither. */
const METADATA = { count: "session-shards", number: "session-shard" } as const;

/** The name of one of several buckets. */
export function shardName(bucket: string, number: number): string {
  return `${bucket}_${number}`;
}

export function shardMetadata({ number, count }: Shard): Record<string, string> {
  return { [METADATA.count]: String(count), [METADATA.number]: String(number) };
}

/** Which of several buckets a stream's metadata say that it is; `undefined` for a bucket of its own. */
export function shardIn(metadata: Record<string, string> | undefined): Shard | undefined {
  const [count, number] = [metadata?.[METADATA.count], metadata?.[METADATA.number]];
  if (count === undefined && number === undefined) return undefined;
  return { number: Number(number), count: Number(count) };
}

export function isSameShard(one: Shard | undefined, other: Shard | undefined): boolean {
  return one?.number === other?.number && one?.count === other?.count;
}

/** A shard in words, with the number that the option `shards` would have. */
export function shardText(shard: Shard | undefined): string {
  return shard ? `bucket ${shard.number} of \`shards: ${shard.count}\`` : "a bucket of its own, `shards: 1`";
}
