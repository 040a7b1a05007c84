import { jetstreamManager, type StoredMsg } from "@nats-io/jetstream";
import { putEntry } from "./put-entry.js";
import type { Connection } from "./variants.js";

/** An entry as it stands in the bucket. */
export interface StoredEntry {
  readonly headers: Record<string, string>;
  readonly value: Uint8Array;
}

/** The entries of a bucket by key, for tests that look at it and tamper with it past the store. */
export class RawBucket {
  constructor(
    private readonly nc: Connection,
    private readonly bucket: string,
  ) {}

  /** All keys that have a value. */
  async keys(): Promise<string[]> {
    const manager = await jetstreamManager(this.nc as never);
    const info = await manager.streams.info(`KV_${this.bucket}`, { subjects_filter: ">" });
    const keys = Object.keys(info.state.subjects ?? {}).map((subject) =>
      subject.slice(`$KV.${this.bucket}.`.length),
    );
    const entries = await Promise.all(keys.map((key) => this.get(key)));
    return keys.filter((_key, n) => entries[n]?.headers["KV-Operation"] === undefined);
  }

  async get(key: string): Promise<StoredEntry> {
    const manager = await jetstreamManager(this.nc as never);
    const message = (await manager.streams.getMessage(`KV_${this.bucket}`, {
      last_by_subj: `$KV.${this.bucket}.${key}`,
    })) as StoredMsg;
    const list = Object.fromEntries([...message.header].map(([name, [value = ""]]) => [name, value]));
    return { headers: list, value: message.data };
  }

  /** Puts an entry there, whatever there was. */
  async put(key: string, { headers: list, value }: StoredEntry): Promise<void> {
    const own = Object.entries(list).filter(([name]) => !name.startsWith("Nats-"));
    await putEntry(this.nc, this.bucket, key, value, Object.fromEntries(own));
  }
}
