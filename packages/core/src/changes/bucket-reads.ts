import type { Context } from "../context.js";
import { decodeSession } from "../format/metadata.js";
import type { Bucket, Position } from "../nats/bucket.js";
import type { ChangeMessage } from "../nats/changes.js";
import type { Entry } from "../nats/replies.js";
import { scanToEnd } from "../nats/scan.js";
import { now } from "../util/timers.js";
import type { CatchUpSource } from "./catch-up.js";

/** What the change feed of one bucket works with. */
export interface TailContext extends Pick<Context, "options" | "sessionKeyStart"> {
  readonly bucket: Bucket;
}

/** Clocks differ: a session counts as stored until this long before its end, in ms. */
const CLOCK_MARGIN = 60_000;

/** Reads what the feed has not reported. Each batch of reads has a deadline of its own. */
export class BucketReads implements CatchUpSource<ChangeMessage> {
  readonly #context: TailContext;

  constructor(context: TailContext) {
    this.#context = context;
  }

  /** When a batch that begins now must be over, in ms of `now()`. */
  deadline(): number {
    return now() + this.#context.options.timeout;
  }

  async position(): Promise<Position> {
    const { bucket } = this.#context;
    const deadline = this.deadline();
    await bucket.open(deadline);
    return bucket.position(deadline);
  }

  async readSequence(sequence: number): Promise<ChangeMessage | null> {
    return this.#messageOf(await this.#context.bucket.entries.readSequence(sequence, this.deadline()));
  }

  async readNext(sequence: number, key?: string): Promise<ChangeMessage | null> {
    return this.#messageOf(await this.#readNext(sequence, key));
  }

  async *scan(from: number): AsyncGenerator<ChangeMessage[]> {
    for await (const batch of scanToEnd(from, (number) => this.#readNext(number))) {
      yield batch.flatMap((entry) => this.#messageOf(entry) ?? []);
    }
  }

  outlasts({ key, header }: ChangeMessage): boolean {
    if (!key.startsWith(this.#context.sessionKeyStart)) return false;
    try {
      return decodeSession(header).expiresAt > Date.now() + CLOCK_MARGIN;
    } catch {
      return false;
    }
  }

  #readNext(sequence: number, key = `${this.#context.sessionKeyStart}*`): Promise<Entry | null> {
    return this.#context.bucket.entries.readNext(key, sequence, this.deadline());
  }

  #messageOf(entry: Entry | null): ChangeMessage | null {
    if (!entry) return null;
    const { subject, revision: sequence, header, writtenAt } = entry;
    return { key: this.#context.bucket.keyOf(subject), sequence, header, writtenAt };
  }
}
