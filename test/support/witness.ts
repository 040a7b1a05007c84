import type { MissedChanges, SessionChange, SessionChanges, SessionStore } from "nats-session-store";
import { idsIn } from "./shards.js";
import { until } from "./wait.js";

/** Reads changes as they come, and keeps them. */
export class Witness {
  /** Changes, and that some were missed; not the interruptions of the connection. */
  readonly seen: (SessionChange | MissedChanges)[] = [];
  readonly interruptions: string[] = [];
  error: unknown;
  hasEnded = false;
  readonly #changes: SessionChanges;

  private constructor(changes: SessionChanges) {
    this.#changes = changes;
    void this.#read();
  }

  /** One that sees all that happens from now on. */
  static async of(store: { changes(): SessionChanges }): Promise<Witness> {
    const changes = store.changes();
    const witness = new Witness(changes);
    await changes.ready;
    return witness;
  }

  get changes(): SessionChange[] {
    return this.seen.filter((change) => change.type !== "missed");
  }

  /** What happened to a session, in words. */
  of(handle: string): string[] {
    return this.changes.filter((change) => change.handle === handle).map(({ type }) => type);
  }

  async until(
    what: string,
    condition: (changes: SessionChange[]) => boolean,
    timeout = 30_000,
  ): Promise<void> {
    await until(
      `${what}, seen ${JSON.stringify(this.seen.slice(-20))}`,
      () => condition(this.changes),
      timeout,
    );
  }

  /** Waits until the change of this revision has been seen. */
  async untilRevision(revision: number): Promise<void> {
    await this.until(`revision ${revision}`, (changes) => (changes.at(-1)?.revision ?? 0) >= revision);
  }

  /** Waits until a session's change of this revision, or a later one, has been seen. */
  async untilChange(handle: string, revision: number): Promise<void> {
    await this.until(`revision ${revision} of ${handle}`, (changes) =>
      changes.some((change) => change.handle === handle && change.revision >= revision),
    );
  }

  /** Writes to each of so many buckets, and waits until that, and so all that was written before, has been seen. */
  async untilEndOf(store: Pick<SessionStore, "save" | "handleOf">, shards = 1): Promise<void> {
    for (let shard = 0; shard < shards; shard++) {
      const [id] = idsIn(store, shard, shards, 1) as [string];
      const { record } = await store.save(id, {});
      if (!record) throw new Error("It was not saved");
      await this.untilChange(record.handle, record.revision);
    }
  }

  async stop(): Promise<void> {
    await this.#changes.return();
  }

  async #read(): Promise<void> {
    try {
      for await (const event of this.#changes) {
        if ("handle" in event || event.type === "missed") this.seen.push(event);
        else this.interruptions.push(event.type);
      }
    } catch (error) {
      this.error = error;
    }
    this.hasEnded = true;
  }
}
