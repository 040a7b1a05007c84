import { warn } from "../util/warn.js";
import { warnOfServerFault } from "./server-versions.js";
import type { StreamFacts } from "./stream.js";
import type { Subjects } from "./subjects.js";

/** The process warnings of a store about its buckets: what all of them share is said once. */
export class BucketWarnings {
  #version: string | undefined;
  #hasWarnedOfAge = false;

  /** A bucket was opened on a server of this version. */
  server(bucket: string, version: string | undefined, facts: StreamFacts): void {
    if (version !== this.#version) warnOfServerFault(bucket, version, facts);
    this.#version = version;
  }

  /** A bucket can be used as it is, but lacks what the server could do for it. */
  isOld({ bucket, title }: Subjects, differences: string): void {
    if (this.#hasWarnedOfAge) return;
    this.#hasWarnedOfAge = true;
    const message = `The bucket ${title} was made for an older server: ${differences}. Open the store with \`updateBucket: true\` to change it.`;
    warn(bucket, "NATS_SESSION_OLD_BUCKET", message);
  }

  /** A bucket that was open was gone, and has been created again. */
  lost({ bucket, title }: Subjects): void {
    const message = `The bucket ${title} was gone and has been created again: the sessions in it are lost.`;
    warn(bucket, "NATS_SESSION_BUCKET_CREATED", message);
  }
}
