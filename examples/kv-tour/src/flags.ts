import { createHash } from "node:crypto";
import type { NatsConnection } from "@nats-io/transport-node";
import { Config, type ConfigOptions } from "./config.js";

/** What is stored for a flag: for how many of the users it is on, in percent, 0 to 100. */
interface Rule {
  readonly percent: number;
}

/** Options of the bucket. Default of `bucket`: `flags`. */
export type FlagsOptions = Pick<ConfigOptions<unknown>, "bucket" | "limits" | "onError">;

/** Feature flags that all processes share. A flag that nobody has enabled is off. */
export class Flags {
  readonly #config: Config<Record<string, Rule | undefined>>;

  private constructor(config: Config<Record<string, Rule | undefined>>) {
    this.#config = config;
  }

  /** Resolves once all flags are known. The connection stays the caller's. */
  static async open(nc: NatsConnection, options: FlagsOptions = {}): Promise<Flags> {
    return new Flags(await Config.open(nc, { bucket: "flags", ...options, defaults: {}, check: checkRule }));
  }

  /**
   * Turns a flag on, at once for this process and a moment later for the others.
   * @param percent for this share of the users, 0 to 100. Default: 100. Who has it at 10 % keeps it at 20 %.
   * @throws TypeError for a name that is not a key, or a percentage out of range
   */
  async enable(name: string, percent = 100): Promise<void> {
    await this.#config.set(name, { percent });
  }

  /** Turns a flag off for everybody. */
  async disable(name: string): Promise<void> {
    await this.#config.set(name, { percent: 0 });
  }

  /** Forgets a flag: it is off, and no longer listed. */
  async delete(name: string): Promise<void> {
    await this.#config.delete(name);
  }

  /** All flags that were ever set and not deleted, by name, with their percentage. */
  list(): Record<string, number> {
    const rules = Object.entries(this.#config.getAll()).sort(([a], [b]) => (a < b ? -1 : 1));
    return Object.fromEntries(rules.map(([name, rule]) => [name, rule?.percent ?? 0]));
  }

  /**
   * Whether a flag is on, from the local copy: fast, and answered through an outage too.
   * @param user who asks, by a stable id; the same user always gets the same answer. Without one, only a flag
   * that is on for everybody is on.
   */
  isEnabled(name: string, user?: string): boolean {
    const percent = this.#config.get(name)?.percent ?? 0;
    if (percent >= 100 || percent <= 0 || user === undefined) return percent >= 100;
    return share(name, user) < percent;
  }

  /** Calls the listener when a flag is changed anywhere. @returns a function that ends this */
  onChange(listener: (name: string, percent: number) => void): () => void {
    return this.#config.onChange((name, rule) => listener(name, rule?.percent ?? 0));
  }

  /** Ends the watch. `isEnabled` goes on with what was known. */
  async close(): Promise<void> {
    await this.#config.close();
  }
}

/** Where a user stands in the row of all users of a flag: 0 up to 100, the same in every process. */
function share(name: string, user: string): number {
  const hash = createHash("sha256").update(`${name}\0${user}`).digest();
  return (hash.readUInt32BE(0) / 2 ** 32) * 100;
}

function checkRule(name: string, rule: unknown): void {
  const percent: unknown = (rule as Partial<Rule> | null)?.percent;
  if (typeof percent !== "number" || !(percent >= 0 && percent <= 100)) {
    throw new TypeError(`Expected the percentage of the flag "${name}" to be 0 to 100, got ${percent}`);
  }
}
