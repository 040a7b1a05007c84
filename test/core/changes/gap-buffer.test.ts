import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { CatchUp } from "../../../packages/core/src/changes/catch-up.js";
import { GapBuffer } from "../../../packages/core/src/changes/gap-buffer.js";
import { type Action, type Decisions, Model, type ModelWrite } from "./model.js";

const small = fc.nat({ max: 9 });

const ORDINARY: fc.Arbitrary<Action>[] = [
  fc.record({ type: fc.constant("write"), key: fc.nat({ max: 4 }), tombstone: fc.boolean() }),
  fc.record({ type: fc.constant("write"), key: fc.nat({ max: 4 }), tombstone: fc.boolean() }),
  fc.record({ type: fc.constant("deliver"), which: small }),
  fc.record({ type: fc.constant("deliver"), which: fc.constant(0) }),
  fc.record({ type: fc.constant("repeat"), which: small }),
  fc.record({ type: fc.constantFrom("check", "sweep") }),
];
const LOSS: fc.Arbitrary<Action>[] = [
  fc.record({ type: fc.constant("lose"), which: small }),
  fc.record({ type: fc.constant("cut") }),
];
const restored = (cut: boolean): fc.Arbitrary<Action> =>
  fc.record({ type: fc.constant("restore"), back: fc.integer({ min: 1, max: 5 }), cut: fc.constant(cut) });
const PURGED: fc.Arbitrary<Action> = fc.record({ type: fc.constant("purge") });
const RECREATED: fc.Arbitrary<Action> = fc.record({ type: fc.constant("recreate") });
/** Another server answers, with an identity of its own for the same bucket. */
const RENAMED: fc.Arbitrary<Action> = fc.record({ type: fc.constant("rename") });
/** A leader that has not applied all that was acknowledged, and copies that lag behind. */
const BEHIND: fc.Arbitrary<Action>[] = [
  fc.record({ type: fc.constant("elect"), back: fc.nat({ max: 6 }), answers: fc.nat({ max: 12 }) }),
  fc.record({ type: fc.constant("lag"), back: fc.nat({ max: 6 }) }),
];
const FORGED: fc.Arbitrary<Action> = fc.record({
  type: fc.constant("forge"),
  offset: fc.integer({ min: -6, max: 4 }),
  key: fc.nat({ max: 4 }),
  age: fc.integer({ min: -20, max: 20 }),
});

const scripts = (...actions: fc.Arbitrary<Action>[]) =>
  fc.array(fc.oneof(...actions), { maxLength: 80, size: "max" });

/** One fault among other actions. */
const around = (fault: fc.Arbitrary<Action>, ...actions: fc.Arbitrary<Action>[]) =>
  fc
    .tuple(scripts(...actions), fault, scripts(...actions))
    .map(([before, at, after]) => [...before, at, ...after]);

async function run(script: readonly Action[], decisions?: Decisions): Promise<Model> {
  const model = new Model(script, decisions);
  await model.run();
  return model;
}

/** Everything that the bucket holds was emitted, or there was `missed` after it; in order and each once. */
const isSound = (model: Model) => model.unknown().length === 0 && model.disorder.length === 0;

const RUNS = { numRuns: 3000 };

describe("the gap buffer with its catch-up", () => {
  it("emits every lasting write in order and once, and never says `missed`, whatever gets lost, repeated or late", async () => {
    const property = fc.asyncProperty(scripts(...ORDINARY, ...LOSS), async (script) => {
      const model = await run(script);
      expect(model).toMatchObject({ missed: 0, disorder: [] });
      expect(model.unknown()).toEqual([]);
    });
    await fc.assert(property, RUNS);
  });

  it("never says `missed` because a leader elected a moment ago, or a copy, lags behind, and skips nothing", async () => {
    const property = fc.asyncProperty(scripts(...ORDINARY, ...LOSS, ...BEHIND), async (script) => {
      const model = await run(script, { busy: true, leaderLag: Number.POSITIVE_INFINITY });
      expect(model).toMatchObject({ missed: 0, disorder: [] });
      expect(model.unknown()).toEqual([]);
    });
    await fc.assert(property, RUNS);
  });

  it("emits every lasting write or says `missed` where a bucket is restored, purged or created again", async () => {
    const replaced = [
      around(fc.oneof(restored(true), PURGED, RECREATED), ...ORDINARY, ...LOSS, RENAMED),
      around(restored(false), ...ORDINARY),
    ];
    for (const actions of replaced) {
      const property = fc.asyncProperty(actions, async (script) => {
        expect(await run(script)).toSatisfy(isSound);
      });
      await fc.assert(property, RUNS);
    }
  });

  it("lets no forged message suppress a write", async () => {
    const cut: fc.Arbitrary<Action> = fc.record({ type: fc.constant("cut") });
    const property = fc.asyncProperty(scripts(...ORDINARY, cut, FORGED, FORGED), async (script) => {
      expect(await run(script)).toSatisfy(isSound);
    });
    await fc.assert(property, RUNS);
  });

  it("is needed: messages passed on as they come break each of these promises", async () => {
    const broken = [
      scripts(...ORDINARY, ...LOSS),
      around(restored(true), ...ORDINARY),
      scripts(...ORDINARY, FORGED),
    ];
    for (const actions of broken) {
      const property = fc.asyncProperty(actions, async (script) =>
        isSound(await run(script, { naive: true })),
      );
      expect((await fc.check(property, RUNS)).failed).toBe(true);
    }
  });

  it("says `missed` of another identity only where the bucket is another one", async () => {
    const write = (key: number): Action => ({ type: "write", key, tombstone: false });
    const [deliver, check]: Action[] = [{ type: "deliver", which: 0 }, { type: "check" }];
    const written = [write(0), deliver, write(1), deliver, write(2), deliver] as Action[];
    const again = (type: "rename" | "recreate") =>
      [...written, { type } as Action, ...written, check] as Action[];
    expect((await run(again("rename"))).missed).toBe(0);
    expect((await run([{ type: "rename" }, ...again("rename")])).missed).toBe(0);
    expect((await run(again("recreate"))).missed).toBe(1);
    // The same, once the other bucket has passed the end of the first.
    expect((await run([...again("recreate"), ...written, check as Action])).missed).toBe(1);
  });

  it("notices a restored bucket that reached its old end again before the link was back", async () => {
    const write = (key: number): Action => ({ type: "write", key, tombstone: false });
    const deliver: Action = { type: "deliver", which: 0 };
    const model = await run([
      ...[write(0), deliver, write(1), deliver, write(1), deliver],
      ...[{ type: "restore", back: 2, cut: false } as Action, write(2), write(1), write(1)],
      { type: "cut" },
    ]);
    expect(model.missed).toBe(1);
    expect(model.unknown()).toEqual([]);
  });
});

describe("a gap buffer", () => {
  const message = (sequence: number, time = sequence, key = `key${sequence}`): ModelWrite => ({
    ...{ key, sequence, time, kind: "session" },
    writtenAt: () => time,
  });
  const begin = () => {
    const emitted: number[] = [];
    const buffer = new GapBuffer<ModelWrite>({
      emit: ({ sequence }) => emitted.push(sequence),
      isSame: (one, other) => one.key === other.key && one.time === other.time,
    });
    return { buffer, emitted };
  };

  it("begins before the messages that came before it knew where to begin", () => {
    const { buffer, emitted } = begin();
    for (const n of [4, 5]) buffer.receive(message(n));
    buffer.restart(4, message(4), 4);
    expect(buffer.last).toBe(3);
    buffer.acceptRead(message(4));
    buffer.release();
    expect(emitted).toEqual([4, 5]);
    expect(buffer.isBehind).toBe(false);
  });

  it("does not begin far below the end of the bucket because of a forged number", () => {
    const { buffer, emitted } = begin();
    buffer.receive(message(3));
    buffer.restart(1_000_000, null, 1_000_000);
    buffer.release();
    expect(buffer.last).toBe(1_000_000);
    expect(emitted).toEqual([]);
  });

  it("ignores numbers that are none", () => {
    const { buffer, emitted } = begin();
    buffer.restart(0, null, 0);
    buffer.release();
    for (const n of [Number.NaN, 0, -1, 1.5, 1e308, 2 ** 53]) buffer.receive(message(n));
    buffer.receive(message(1));
    expect(emitted).toEqual([1]);
    expect(buffer.isBehind).toBe(false);
  });

  it("keeps a bounded number of early messages", () => {
    const { buffer } = begin();
    buffer.restart(0, null, 0);
    buffer.release();
    for (let n = 1; n <= 500; n++) buffer.receive(message(n));
    for (let n = 1; n <= 500; n++) buffer.receive(message(n, n, "other"));
    expect(buffer.isContradicted).toBe(true);
    for (let n = 2000; n <= 5000; n++) buffer.receive(message(n));
    expect(buffer.early.length).toBeLessThanOrEqual(1000);
  });

  it("emits no more at once than a reader keeps beside a batch that was read, so that none misses anything", () => {
    const { buffer, emitted } = begin();
    buffer.restart(0, null, 0);
    for (let n = 1; n <= 5000; n++) buffer.receive(message(n));
    buffer.release();
    expect(emitted.length).toBeGreaterThan(0);
    expect(emitted.length).toBeLessThanOrEqual(1000 - 64);
    expect(buffer.isBehind).toBe(true);
  });

  it("shows a purge where a session is not there that was emitted and should be", async () => {
    const { buffer } = begin();
    const [one, two, again] = [message(1, 1, "one"), message(2, 2, "two"), message(3, 3, "one")];
    let entries = [two, again];
    const readNext = async (from: number, key?: string) =>
      entries.find((entry) => entry.key === key && entry.sequence >= from) ?? null;
    const source = { outlasts: ({ kind }: ModelWrite) => kind === "session", readNext };
    const catchUp = new CatchUp(buffer, source as never, () => {});
    buffer.restart(0, null, 0);
    buffer.release();
    for (const write of [one, two, again]) buffer.receive(write);
    const isPurged = (first: number, last = 3) =>
      catchUp.isPurged({ first, last, entries: 0, identity: "", term: "", serverTime: 3 });
    expect(await isPurged(2)).toBe(false);
    entries = [again];
    expect(await isPurged(3)).toBe(true);
    entries = [two];
    expect(await isPurged(2)).toBe(true);
    // Not emitted yet, or written again since the position was asked for.
    expect(await isPurged(5, 4)).toBe(false);
    entries = [two, message(4, 4, "one")];
    expect(await isPurged(2)).toBe(false);
  });

  it("emits nothing after a contradiction, and begins again before it", () => {
    const { buffer, emitted } = begin();
    buffer.restart(0, null, 0);
    buffer.release();
    for (const n of [1, 2, 3]) buffer.receive(message(n));
    buffer.receive(message(3, 9));
    buffer.receive(message(2, 9));
    buffer.receive(message(4));
    expect(emitted).toEqual([1, 2, 3]);
    buffer.restart(4, message(4), 9);
    expect(buffer.last).toBe(1);
    expect(buffer.isBehind).toBe(false);
  });
});
