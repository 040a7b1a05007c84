import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import type { SessionRecord, SessionStore } from "nats-session-store";
import { type Data, History, KEYS } from "./history.js";

export type { Data } from "./history.js";

/** One step of a client that works on a session all others work on too. */
export type Step =
  | { do: "load" | "touch" | "destroy" | "rotate" | "pause" }
  | { do: "set" | "remove"; key: string }
  /** `adopt`: go on with the data of the record that came back, rather than with one's own object. */
  | { do: "save"; adopt: boolean };

/** What each client does, one step after the other; the clients run at the same time. */
export type Schedule = Step[][];

/** What a client calls of its store. */
export type ScheduledStore = Pick<SessionStore<Data>, "load" | "save" | "touch" | "destroy" | "rotate">;

/** A client of a schedule. */
export interface Client {
  readonly store: ScheduledStore;
  /** How old an answer may be where it is about what other clients did, in ms. */
  readonly lag?: number;
  /** Runs what the client does, such as under a clock of its own. */
  readonly as?: <R>(task: () => R) => R;
  /** Whether the client lacks the key of the session. */
  readonly isStranger?: boolean;
}

/**
 * Random schedules. Sessions are seldom destroyed, or there would be little else to see; the first client gives the
 * session new ids, since a session that two clients rotate becomes two.
 */
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
  const at = fc.nat(steps - 1);
  const end = fc.option(fc.tuple(fc.nat(clients - 1), at), { freq: 2 });
  const rotations = fc.array(at, { maxLength: 2 });
  return fc
    .tuple(fc.array(client, { minLength: clients, maxLength: clients }), end, rotations)
    .map(([all, destroyed, rotated]) =>
      all.map((list, n) =>
        list.map((step, m): Step => {
          if (n === destroyed?.[0] && m === destroyed[1]) return { do: "destroy" };
          return n === 0 && rotated.includes(m) ? { do: "rotate" } : step;
        }),
      ),
    );
}

/** Begins a session for a schedule. */
export async function begin(
  { store, as = (task) => task() }: Client,
  id: string,
  ttl: number,
  skew = 0,
): Promise<History> {
  const history = new History(id, skew);
  const from = performance.now();
  const { record } = await as(() => store.save(id, { a: "first" }, { ttl }));
  const at = performance.now();
  history.changes.push({ key: "a", value: '"first"', by: 0, from, until: at });
  history.expiries.push({ at, by: 0, expiresAt: record?.expiresAt ?? 0 });
  return history;
}

/** Runs a schedule, each client with its own store, on the session of the history. */
export async function run(
  schedule: Schedule,
  clients: readonly Client[],
  history: History,
  ttl: number,
): Promise<void> {
  const running = schedule.map((steps, n) => {
    const client = clients[n % clients.length] as Client;
    const task = () => (client.isStranger ? runStranger : runClient)(steps, client, n, ttl, history);
    return client.as ? client.as(task) : task();
  });
  await Promise.all(running);
}

async function runClient(
  steps: Step[],
  { store, lag = 0 }: Client,
  by: number,
  ttl: number,
  history: History,
): Promise<void> {
  let id = history.id;
  let record: SessionRecord<Data> | null = null;
  let data: Data = {};
  let before: Data = {};
  let count = 0;

  const load = async () => {
    id = history.id;
    const from = performance.now();
    record = await store.load(id);
    const until = performance.now();
    data = record?.data ?? {};
    // The client goes on to change its own object.
    before = structuredClone(data);
    const seen = record && { data: before, expiresAt: record.expiresAt };
    history.loads.push({ id, by, from, until, lag, record: seen });
  };
  const acknowledged = (next: SessionRecord<Data> | null) => {
    record = next;
    const at = performance.now();
    if (next) history.expiries.push({ at, by, expiresAt: next.expiresAt });
    else history.missed.push({ id, at });
  };
  /** Writes the changes of the data; until it is acknowledged each of them may be stored or not. */
  const write = async (task: () => ReturnType<ScheduledStore["save"]>): Promise<void> => {
    const from = performance.now();
    const until = Number.POSITIVE_INFINITY;
    const changes = KEYS.filter((key) => data[key] !== before[key]).map((key) => {
      return { key, value: JSON.stringify(data[key]), by, from, until };
    });
    history.changes.push(...changes);
    const result = await task();
    acknowledged(result.record);
    for (const change of changes) change.until = performance.now();
    if (!result.record) history.changes = history.changes.filter((one) => !changes.includes(one as never));
    before = structuredClone(data);
  };
  const rotate = async (current: SessionRecord<Data>) => {
    const next = `${history.ids[0]}.${performance.now()}`;
    const rotation = { id, by, since: performance.now(), at: undefined as number | undefined, lag: 0 };
    history.rotations.push(rotation);
    await write(() => store.rotate(id, next, data, { record: current, ttl }));
    if (!record) return;
    rotation.at = performance.now();
    history.ids.push(next);
    id = next;
  };

  await load();
  for (const step of steps) {
    history.operations++;
    if (step.do === "pause") await nextTurn();
    if (step.do === "load") await load();
    if (step.do === "set") data[step.key] = `${by}.${performance.now()}.${count++}`;
    if (step.do === "remove") delete data[step.key];
    if (step.do === "destroy") await destroy(store, by, id, history);
    if (!record) continue;
    const current: SessionRecord<Data> = record;
    if (step.do === "touch") acknowledged((await store.touch(id, current, { ttl })).record);
    if (step.do === "rotate") await rotate(current);
    if (step.do === "save") {
      await write(() => store.save(id, data, { record: current, ttl }));
      if (step.adopt && record) data = (record as SessionRecord<Data>).data;
      before = structuredClone(data);
    }
  }
}

async function destroy(store: ScheduledStore, by: number, id: string, history: History): Promise<void> {
  const end = { by, since: performance.now(), at: undefined as number | undefined, lag: 0 };
  history.ends.push(end);
  await store.destroy(id);
  end.at = performance.now();
}

/** A client that lacks the key sees that the session is there, and may end it, which needs no key. */
async function runStranger(
  steps: Step[],
  { store, lag = 0 }: Client,
  by: number,
  _ttl: number,
  history: History,
): Promise<void> {
  for (const step of steps) {
    history.operations++;
    const { id } = history;
    if (step.do === "destroy") await destroy(store, by, id, history);
    const from = performance.now();
    const record = await store.load(id).catch((error) => {
      if (error.code !== "ERR_SESSION_KEY_UNKNOWN") throw error;
      return "hidden" as const;
    });
    history.loads.push({ id, by, from, until: performance.now(), lag, record });
    await nextTurn();
  }
}
