import { createHash, randomUUID } from "node:crypto";
import { jetstreamManager } from "@nats-io/jetstream";
import fc from "fast-check";
import type { SessionStoreOptions } from "nats-session-store";
import type { History } from "./history.js";
import { Mirror } from "./mirror.js";
import { openPatient } from "./patient.js";
import { begin, type Client, type Data, run, type Schedule, schedules } from "./schedule.js";
import { underClock } from "./shifted-clocks.js";
import type { Connection } from "./variants.js";
import { until } from "./wait.js";

/** How far the copy of the bucket may be behind that answers a read, on a busy machine, in ms. */
const LAGGING = 10_000;

/** What an operator, or the cloud, does to a bucket between two parts of a schedule. */
export type Event = (world: World) => Promise<void>;

/** The store of one client of a world. */
export interface ClientPlan {
  readonly options?: SessionStoreOptions;
  /** By how much its clock is off, in ms. */
  readonly clock?: number;
  readonly isStranger?: boolean;
  /** Puts something in place of its store: to show that a fault there would be found. */
  readonly breaking?: (client: Client, world: World) => Client;
}

export interface WorldPlan {
  readonly clients: readonly ClientPlan[];
  /** What happens after each part of a schedule but the last. */
  readonly events: readonly Event[];
}

const TTL = 3_600_000;

/** One session, the clients that work on it, and what happens to its bucket. */
export class World {
  readonly #closing: (() => Promise<void>)[] = [];
  /** How old an answer about other clients' writes may be that does not come from a cache, in ms. */
  lag = 0;
  history!: History;
  /** The streams that answer reads beside the bucket's own. */
  readonly mirrors: string[] = [];

  constructor(
    readonly bucket: string,
    private readonly dial: () => Promise<Connection>,
    /** Keeps the server's data as they are. @returns puts them back */
    readonly backUp: () => Promise<() => Promise<void>> = () =>
      Promise.reject(new Error("No server of its own")),
  ) {}

  /** A connection that is closed with the world. */
  async connect(): Promise<Connection> {
    const nc = await this.dial();
    this.#closing.push(() => nc.close());
    return nc;
  }

  /**
   * @param within how long a client may take to see what the others have done, in ms
   * @returns the promises that were broken, in words
   */
  async play(
    { clients: plans, events }: WorldPlan,
    parts: readonly Schedule[],
    within = 30_000,
  ): Promise<string[]> {
    try {
      const clients: Client[] = [];
      for (const plan of plans) clients.push(await this.#client(plan));
      const offs = plans.map(({ clock = 0 }) => clock);
      const history = await begin(
        clients[0] as Client,
        randomUUID(),
        TTL,
        Math.max(...offs) - Math.min(...offs),
      );
      this.history = history;
      const broken: string[] = [];
      const go = async (schedule: Schedule) => {
        await run(
          schedule,
          clients.map((client) => this.#now(client)),
          history,
          TTL,
        );
        broken.push(...history.violations());
      };
      for (const [n, schedule] of parts.entries()) {
        await go(schedule);
        await events[n]?.(this);
      }
      await go(clients.map(() => [{ do: "load" }]));
      const truth = await this.open({ ...plans[0]?.options, cache: false, reads: "leader" });
      broken.push(...history.finalViolations(await truth.load(history.id)));
      return broken.length > 0 ? broken : await this.#disagreement(clients, within);
    } finally {
      for (const close of this.#closing.splice(0).reverse()) await close();
    }
  }

  /** A store of another process on the bucket. */
  async open(options: SessionStoreOptions = {}) {
    const nc = await this.connect();
    const store = await openPatient<Data>(nc, { bucket: this.bucket, touchAfter: 0, ...options });
    this.#closing.push(() => store.close());
    return store;
  }

  async #client({ options, clock = 0, isStranger = false, breaking }: ClientPlan): Promise<Client> {
    const as = underClock(clock);
    const store = await as(() => this.open(options));
    const cache = typeof options?.cache === "object" ? options.cache : undefined;
    const client: Client = { store, lag: cache?.maxStale ?? 0, as, isStranger };
    return breaking ? breaking(client, this) : client;
  }

  #now(client: Client): Client {
    return { ...client, lag: Math.max(client.lag ?? 0, this.lag) };
  }

  /** A cache is told of everything in the end. Without one a copy that stays behind may answer for ever. */
  async #disagreement(clients: readonly Client[], within: number): Promise<string[]> {
    const { history } = this;
    const isServedLong = history.ends.some(({ lag }) => lag > 0);
    for (const { store, lag = 0, as = directly, isStranger } of clients) {
      if (isStranger || isServedLong || (lag === 0 && this.lag > LAGGING)) continue;
      let broken: string[] = [];
      const agrees = async () => {
        broken = history.finalViolations(await as(() => store.load(history.id)));
        return broken.length === 0;
      };
      try {
        await until("every client to see the same in the end", agrees, within);
      } catch (error) {
        if (broken.length === 0) throw error;
        return broken;
      }
    }
    return [];
  }
}

function directly<R>(task: () => R): R {
  return task();
}

/** Parts of a schedule, each of which ends before the next one begins. */
export function parts(count: number, clients: number, steps: number): fc.Arbitrary<Schedule[]> {
  return fc.array(schedules(clients, steps), { minLength: count, maxLength: count });
}

/** Adds a mirror that answers reads, of all keys or of part of them; it may stay as it is from then on. */
export function mirror(pattern: string, isSealed = false): Event {
  return async (world) => {
    // A mirror of part of the keys has some, though none of the session.
    if (pattern !== ">") await (await world.open({ prefix: "other" })).save("id", {});
    const made = await Mirror.of(await world.connect(), world.bucket, pattern);
    if (isSealed) await made.seal();
    world.mirrors.push(made.name);
    world.lag = isSealed ? Number.POSITIVE_INFINITY : LAGGING;
  };
}

/** Purges the stream behind the store: all of it, or what is stored under the session's current id alone. */
export function purge(isWhole: boolean): Event {
  return async (world) => {
    const { history, bucket } = world;
    const { streams } = await jetstreamManager((await world.connect()) as never);
    const handle = createHash("sha256").update(history.id).digest("base64url");
    const since = performance.now();
    const filter = isWhole ? undefined : { filter: `$KV.${bucket}.s.${handle}` };
    // A mirror keeps what is purged, unless it is purged too.
    for (const copy of [...world.mirrors, `KV_${bucket}`]) await streams.purge(copy, filter);
    // A cache reads a session again after a minute: nothing else tells of the purge of a single one.
    history.ends.push({ by: -1, since, at: performance.now(), lag: isWhole ? 0 : 60_000 });
  };
}

/**
 * Two events: a backup, and its restoration. The restored bucket is written at once, until its numbers are past the
 * old end.
 */
export function backup(): readonly [keep: Event, restore: Event] {
  let back: Event;
  return [
    async (world) => {
      const forget = world.history.backUp();
      const restore = await world.backUp();
      back = async () => {
        const { record } = await (await world.open()).save("last", {});
        await restore();
        forget();
        const other = await world.open();
        for (let n = 0; ; n++) {
          const lifted = await other.save(`lift ${n}`, {});
          if ((lifted.record?.revision ?? 0) > (record?.revision ?? 0)) return;
        }
      };
    },
    (world) => back(world),
  ];
}
