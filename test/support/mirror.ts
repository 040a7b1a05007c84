import { jetstreamManager } from "@nats-io/jetstream";
import type { Connection } from "./variants.js";
import { until } from "./wait.js";

/** A mirror of a bucket that answers reads of the bucket, as `nats kv add --mirror` makes it. */
export class Mirror {
  private constructor(
    private readonly nc: Connection,
    private readonly bucket: string,
    readonly name: string,
  ) {}

  /**
   * Makes a mirror, of the keys that match the pattern.
   * @returns once it answers reads of the bucket; the bucket has to hold an entry
   */
  static async of(nc: Connection, bucket: string, pattern = ">"): Promise<Mirror> {
    const mirror = new Mirror(nc, bucket, `KV_${bucket}-mirror`);
    const { streams } = await jetstreamManager(nc as never);
    await streams.add({
      name: mirror.name,
      mirror: {
        name: `KV_${bucket}`,
        ...(pattern === ">" ? {} : { filter_subject: `$KV.${bucket}.${pattern}` }),
      },
      mirror_direct: true,
      max_msgs_per_subject: 1,
    });
    await until("the mirror to answer", () => mirror.#answers());
    return mirror;
  }

  /** From now on it stays as it is, and goes on answering: a copy that lags behind. */
  async seal(): Promise<void> {
    const { streams } = await jetstreamManager(this.nc as never);
    const target = (await streams.info(`KV_${this.bucket}`)).state.last_seq;
    await until("the mirror to be up to date", async () => {
      const { mirror, state } = await streams.info(this.name);
      return state.last_seq >= target && mirror?.lag === 0;
    });
    const { config } = await streams.info(this.name);
    await streams.update(this.name, { ...config, sealed: true } as never);
  }

  /** One of the two answers, no one knows which; so it is asked often. */
  async #answers(): Promise<boolean> {
    const { streams } = await jetstreamManager(this.nc as never);
    const { state } = await streams.info(this.name);
    if (state.last_seq === 0) return false;
    const question = Buffer.from(JSON.stringify({ seq: state.last_seq }));
    for (let n = 0; n < 20; n++) {
      const reply = await this.nc.request(`$JS.API.DIRECT.GET.KV_${this.bucket}`, question, {
        timeout: 5000,
      });
      const { headers } = reply as { headers?: { get(name: string): string } };
      if (headers?.get("Nats-Stream") === this.name) return true;
    }
    return false;
  }
}
