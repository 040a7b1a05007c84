import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import type { SessionRecord, SessionStore } from "nats-session-store";

export type Data = Record<string, unknown>;

/** One step of a client that works on a session all others work on too. */
export type Step =
  | { do: "load" | "touch" | "destroy" | "pause" }
  | { do: "set" | "remove"; key: string }
  /** `adopt`: go on with the data of the record that came back, rather than with one's own object. */
  | { do: "save"; adopt: boolean };

/** What each client does, one step after the other; the clients run at the same time. */
export type Schedule = Step[][];

const KEYS = ["a", "b", "c"];

/** Random schedules; sessions are seldom destroyed, or there would be little else to see. */
export function schedules(clients: number, steps: number): fc.Arbitrary<Schedule> {
  const key = fc.constantFrom(...KEYS);
  const step: fc.Arbitrary<Step> = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant("load" as const) }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant("set" as const), key }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("remove" as const), key }) },
    { weight: 8, arbitrary: fc.record({ do: fc.constant("save" as const), adopt: fc.boolean() }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant("touch" as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("pause" as const) }) },
  );
  const client = fc.array(step, { minLength: steps, maxLength: steps });
  const end = fc.option(fc.tuple(fc.nat(clients - 1), fc.nat(steps - 1)), { freq: 2 });
  return fc
    .tuple(fc.array(client, { minLength: clients, maxLength: clients }), end)
    .map(([all, destroyed]) => {
      const [who, when] = destroyed ?? [];
      return all.map((list, n) =>
        list.map((step, m): Step => (n === who && m === when ? { do: "destroy" } : step)),
      );
    });
}

/** A change of one key that was acknowledged; times are ms of `performance.now()`. */
interface Change {
  readonly key: string;
  /** Serialised; `undefined` = removed. */
  readonly value: string | undefined;
  readonly from: number;
  readonly until: number;
}

/** What happened in a run, as far as the promises speak of it. */
export class History {
  readonly changes: Change[] = [];
  /** Expiries that were acknowledged, and when. */
  readonly expiries: { at: number; expiresAt: number }[] = [];
  readonly loads: { from: number; record: SessionRecord<Data> | null }[] = [];
  /** When an operation that found no session was over. */
  readonly missed: number[] = [];
  destroyingSince: number | undefined;
  destroyedAt: number | undefined;
  operations = 0;

  /**
   * The rules that this run broke, in words; none when all is well.
   *
   * - A change that was acknowledged is there in the end, unless the same key was changed at the same time or
   *   later.
   * - After a destroy was acknowledged no load finds the session.
   * - Before a destroy has begun every load, save and touch finds it.
   * - No load sees an earlier expiry than one that was acknowledged before.
   *
   * @param lag how far behind the replica that answers a load may be, in ms
   */
  violations(final: SessionRecord<Data> | null, lag = 0): string[] {
    return [
      ...this.#lostChanges(final),
      ...this.#revivals(final, lag),
      ...this.#missed(),
      ...this.#shortened(lag),
    ];
  }

  *#lostChanges(final: SessionRecord<Data> | null): Generator<string> {
    if (this.destroyedAt !== undefined) return;
    if (!final) {
      yield "the session is gone, though nobody destroyed it";
      return;
    }
    for (const key of KEYS) {
      const value = JSON.stringify(final.data[key]);
      const changes = this.changes.filter((change) => change.key === key);
      if (changes.length === 0 && value === undefined) continue;
      const possible = changes.filter((one) => !changes.some((other) => other.from > one.until));
      if (!possible.some((change) => change.value === value)) {
        yield `key ${key} is ${value}, expected one of ${JSON.stringify(possible.map((change) => change.value))}`;
      }
    }
  }

  *#revivals(final: SessionRecord<Data> | null, lag: number): Generator<string> {
    const { destroyedAt } = this;
    if (destroyedAt === undefined) return;
    if (final) yield "the destroyed session is there in the end";
    if (this.loads.some(({ from, record }) => from > destroyedAt + lag && record)) {
      yield "a load found the session after it was destroyed";
    }
  }

  *#missed(): Generator<string> {
    const { destroyingSince = Number.POSITIVE_INFINITY } = this;
    if (this.missed.some((at) => at < destroyingSince)) yield "the session was not found while it was there";
  }

  *#shortened(lag: number): Generator<string> {
    for (const { from, record } of this.loads) {
      const before = this.expiries.filter(({ at }) => at + lag < from).map(({ expiresAt }) => expiresAt);
      if (record && record.expiresAt < Math.max(0, ...before)) yield "an expiry moved backwards";
    }
  }
}

/** Runs a schedule, each client with its own store, on a new session of the given id, which `first` begins. */
export async function run(
  schedule: Schedule,
  stores: SessionStore[],
  id: string,
  ttl: number,
  first = stores[0] as SessionStore,
): Promise<History> {
  const history = new History();
  const from = performance.now();
  const { record } = await first.save(id, { a: "first" }, { ttl });
  history.changes.push({ key: "a", value: '"first"', from, until: performance.now() });
  history.expiries.push({ at: performance.now(), expiresAt: record?.expiresAt ?? 0 });
  await Promise.all(
    schedule.map((steps, n) =>
      runClient(steps, stores[n % stores.length] as SessionStore, n, id, ttl, history),
    ),
  );
  return history;
}

async function runClient(
  steps: Step[],
  store: SessionStore,
  name: number,
  id: string,
  ttl: number,
  history: History,
): Promise<void> {
  let record: SessionRecord<Data> | null = null;
  let data: Data = {};
  let before: Data = {};
  let count = 0;

  const load = async () => {
    const from = performance.now();
    record = await store.load(id);
    history.loads.push({ from, record });
    if (!record) history.missed.push(performance.now());
    data = record?.data ?? {};
    before = structuredClone(data);
  };
  const acknowledged = (next: SessionRecord<Data> | null) => {
    record = next;
    if (!next) history.missed.push(performance.now());
    else history.expiries.push({ at: performance.now(), expiresAt: next.expiresAt });
  };

  await load();
  for (const step of steps) {
    history.operations++;
    if (step.do === "pause") await nextTurn();
    if (step.do === "load") await load();
    if (step.do === "set") data[step.key] = `${name}.${count++}`;
    if (step.do === "remove") delete data[step.key];
    if (step.do === "destroy") {
      history.destroyingSince ??= performance.now();
      await store.destroy(id);
      history.destroyedAt ??= performance.now();
    }
    if (!record) continue;
    if (step.do === "touch") acknowledged((await store.touch(id, record, { ttl })).record);
    if (step.do === "save") {
      const changes = KEYS.filter((key) => data[key] !== before[key]);
      const from = performance.now();
      const result = await store.save(id, data, { record, ttl });
      acknowledged(result.record);
      if (!result.record) continue;
      for (const key of changes) {
        history.changes.push({ key, value: JSON.stringify(data[key]), from, until: performance.now() });
      }
      if (step.adopt) data = result.record.data;
      before = structuredClone(data);
    }
  }
}
