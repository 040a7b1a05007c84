/** Which JetStream holds the bucket; without both that of the connection's own account and server. */
export interface ApiOptions {
  readonly domain: string | undefined;
  readonly apiPrefix: string | undefined;
}

/** A stream, and where it is asked for. */
export interface StreamName {
  readonly stream: string;
  /** For errors, after a name or a verb: empty for the account's own JetStream, or such as ` in the domain "hub"`. */
  readonly where: string;
}

/** The NATS subjects and names that belong to one KV bucket (ADR-8, ADR-19, ADR-31). */
export interface Subjects extends StreamName {
  readonly bucket: string;
  /** The bucket's name in quotes, and where it is. */
  readonly title: string;
  /** Start of the subjects of the JetStream API. */
  readonly api: string;
  /** Whether another JetStream than that of the account and server is asked, which may be out of reach. */
  readonly isElsewhere: boolean;
  /** Every entry of the bucket. */
  readonly all: string;
  /** Start of the subject under which an entry is stored; the key follows. */
  readonly entry: string;
  /** Start of the subject that writes an entry; the key follows. */
  readonly write: string;
  /** Start of the subject that reads an entry from any copy; the key follows. */
  readonly directGet: string;
  /** Reads by sequence number from any copy. */
  readonly directGetBySequence: string;
  /** Reads from the stream's leader. */
  readonly leaderGet: string;
  /** Asks the leader for the stream's configuration, counters and subjects. */
  readonly streamInfo: string;
  /**
   * Where a new bucket republishes the headers of every write: the change feed.
   * @param serverDomain domain of the server that the connection leads to
   */
  changes(serverDomain: string | undefined): string;
}

const OWN_API = "$JS.API";

/**
 * Writes go where those of the official client go (`Bucket.subjectForKey` in `@nats-io/kv`): to `$KV.<bucket>` in the
 * own JetStream, with the prefix of its API before it in another one. The servers do not let `$KV.>` pass between
 * domains, and take the prefix off again.
 */
export function subjectsOf({
  bucket,
  domain,
  apiPrefix,
}: ApiOptions & { readonly bucket: string }): Subjects {
  const stream = `KV_${bucket}`;
  const entry = `$KV.${bucket}.`;
  const api = domain === undefined ? (apiPrefix?.replace(/\.$/, "") ?? OWN_API) : `$JS.${domain}.API`;
  const isElsewhere = api !== OWN_API;
  const place = domain === undefined ? `behind the API prefix "${api}"` : `in the domain "${domain}"`;
  const where = isElsewhere ? ` ${place}` : "";
  return {
    bucket,
    stream,
    where,
    title: `"${bucket}"${where}`,
    api,
    isElsewhere,
    all: `${entry}>`,
    entry,
    write: isElsewhere ? `${api}.${entry}` : entry,
    directGet: `${api}.DIRECT.GET.${stream}.${entry}`,
    directGetBySequence: `${api}.DIRECT.GET.${stream}`,
    leaderGet: `${api}.STREAM.MSG.GET.${stream}`,
    streamInfo: `${api}.STREAM.INFO.${stream}`,
    changes(serverDomain) {
      // A hub and its leaf nodes share an account's subjects, and may each have a bucket of this name.
      const own = domain ?? (isElsewhere ? undefined : serverDomain);
      return ["session-changes", ...(own === undefined ? [] : [own]), bucket, ">"].join(".");
    },
  };
}
