/** The NATS subjects and names that belong to one KV bucket (ADR-8, ADR-31). */
export interface Subjects {
  readonly bucket: string;
  /** Name of the stream behind the bucket. */
  readonly stream: string;
  /** Every entry of the bucket. */
  readonly all: string;
  /** Start of an entry's subject; the key follows. */
  readonly entry: string;
  /** Start of the subject that reads an entry from any copy; the key follows. */
  readonly directGet: string;
  /** Reads by sequence number from any copy. */
  readonly directGetBySequence: string;
  /** Reads from the stream's leader. */
  readonly leaderGet: string;
  /** Asks the leader for the stream's configuration, counters and subjects. */
  readonly streamInfo: string;
  /** Where the server republishes the headers of every write: the change feed. */
  readonly changes: string;
}

export function subjectsOf(bucket: string): Subjects {
  const stream = `KV_${bucket}`;
  return {
    bucket,
    stream,
    all: `$KV.${bucket}.>`,
    entry: `$KV.${bucket}.`,
    directGet: `$JS.API.DIRECT.GET.${stream}.$KV.${bucket}.`,
    directGetBySequence: `$JS.API.DIRECT.GET.${stream}`,
    leaderGet: `$JS.API.STREAM.MSG.GET.${stream}`,
    streamInfo: `$JS.API.STREAM.INFO.${stream}`,
    changes: `session-changes.${bucket}.>`,
  };
}
