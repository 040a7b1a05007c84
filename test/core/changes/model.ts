import { CatchUp, type CatchUpSource } from "../../../packages/core/src/changes/catch-up.js";
import { GapBuffer } from "../../../packages/core/src/changes/gap-buffer.js";

/** A write as the model's bucket holds it and its feed reports it. */
export interface ModelWrite {
  readonly key: string;
  readonly sequence: number;
  readonly time: number;
  readonly kind: "session" | "tombstone" | "forged";
  readonly writtenAt: () => number;
}

export type Action =
  | { readonly type: "write"; readonly key: number; readonly tombstone: boolean }
  | { readonly type: "deliver" | "lose" | "repeat"; readonly which: number }
  | { readonly type: "check" | "cut" | "sweep" | "purge" | "rename" | "recreate" }
  | { readonly type: "restore"; readonly back: number; readonly cut: boolean }
  | { readonly type: "elect"; readonly back: number; readonly answers: number }
  | { readonly type: "lag"; readonly back: number }
  | { readonly type: "forge"; readonly offset: number; readonly key: number; readonly age: number };

export interface Decisions {
  /** Leaves everything out that the gap buffer does beyond passing messages on. */
  readonly naive?: boolean;
  /** Whether much happens during one read, and not only one thing at most. */
  readonly busy?: boolean;
  /** How long a leader may lag behind, in ms; without it none does. */
  readonly leaderLag?: number;
}

/** The leader answers from what the bucket was up to a number, so many times, and then has caught up. */
interface Leader {
  readonly number: number;
  readonly applied: number;
  answers: number;
}

function write(key: string, sequence: number, time: number, kind: ModelWrite["kind"]): ModelWrite {
  return { key, sequence, time, kind, writtenAt: () => time };
}

function sorted(entries: ReadonlyMap<string, ModelWrite>, from: number): ModelWrite[] {
  const found = [...entries.values()].filter(({ sequence }) => sequence >= from);
  return found.sort((one, other) => one.sequence - other.sequence);
}

/** A bucket, its feed and a reader of it, in one process and without time; every random choice comes from outside. */
export class Model implements CatchUpSource<ModelWrite> {
  /** What the reader was told since it last read everything, or read then. */
  known = new Set<ModelWrite>();
  emitted: ModelWrite[] = [];
  missed = 0;
  /** Numbers emitted out of order or twice. */
  readonly disorder: number[] = [];
  #entries = new Map<string, ModelWrite>();
  #last = 0;
  #time = 1;
  /** A bucket that is created again has another identity, and so may one of which another server answers. */
  #creation = 0;
  #leader: Leader = { number: 0, applied: 0, answers: 0 };
  /** How many writes the copies are behind that answer reads. */
  #lag = 0;
  readonly #snapshots: Map<string, ModelWrite>[] = [new Map()];
  readonly #inFlight: ModelWrite[] = [];
  readonly #delivered: ModelWrite[] = [];
  readonly #script: Action[];
  readonly #buffer: GapBuffer<ModelWrite>;
  readonly #catchUp: CatchUp<ModelWrite>;
  readonly #naive: boolean;
  #isCut = false;
  #cuts = 0;
  #isReading = false;
  readonly #isBusy: boolean;
  #questions = 0;

  constructor(script: readonly Action[], { naive = false, busy = false, leaderLag = 0 }: Decisions = {}) {
    this.#isBusy = busy;
    this.#script = [...script];
    this.#naive = naive;
    this.#buffer = new GapBuffer<ModelWrite>({
      emit: (write) => this.#onEmit(write),
      isSame: (one, other) => one.key === other.key && one.time === other.time && one.kind === other.kind,
    });
    this.#catchUp = new CatchUp(this.#buffer, this, () => this.#onMissed(), leaderLag);
  }

  /** Runs the script to its end; then everything in flight arrives, the leader catches up, and the reader comes to rest. */
  async run(): Promise<void> {
    await this.#catchUp.begin(this.#position());
    this.#buffer.release();
    while (this.#script.length > 0) {
      if (this.#isRestoreNext) await this.#settle();
      this.#step();
      if (this.#isWanted) await this.#read();
    }
    await this.#settle();
    this.#leader.answers = 0;
    await this.#read();
    await this.#settle();
  }

  /** Everything in flight arrives, and the reader comes to rest. */
  async #settle(): Promise<void> {
    while (this.#inFlight.length > 0) this.#deliver(0);
    for (let round = 0; this.#buffer.isBehind || this.#isWanted; round++) {
      if (round > 50) throw new Error("The reader does not come to rest");
      await this.#read();
    }
  }

  /** A restore takes longer than messages need: while the link stays up, they all come before it. */
  get #isRestoreNext(): boolean {
    const next = this.#script[0];
    return next?.type === "restore" && !next.cut;
  }

  /** What the bucket holds and the reader was not told of. */
  unknown(): ModelWrite[] {
    return [...this.#entries.values()].filter((entry) => !this.known.has(entry));
  }

  async position() {
    await this.#meanwhile();
    return this.#position();
  }

  async readSequence(sequence: number) {
    await this.#meanwhile();
    return this.#askLeader(sequence).find((entry) => entry.sequence === sequence) ?? null;
  }

  async readNext(sequence: number, key?: string) {
    await this.#meanwhile();
    const isWanted = (entry: ModelWrite) => key === undefined || entry.key === key;
    return this.#askCopy(sequence).find(isWanted) ?? this.#askLeader(sequence).find(isWanted) ?? null;
  }

  outlasts({ kind }: ModelWrite) {
    return kind === "session";
  }

  async *scan(from: number) {
    for (let next = from; ; ) {
      await this.#meanwhile();
      const found = this.#askCopy(next);
      const batch = (found.length > 0 ? found : this.#askLeader(next)).slice(0, 3);
      const last = batch.at(-1);
      if (!last) return;
      yield batch.reverse();
      next = last.sequence + 1;
    }
  }

  #isWanted = false;

  #position() {
    const { number, applied, answers } = this.#leader;
    const last = answers > 0 ? applied : this.#last;
    const stored = this.#askLeader(0);
    const first = stored[0]?.sequence ?? last + 1;
    const identity = `bucket ${this.#creation}`;
    const term = `leader ${number}`;
    return { first, last, entries: stored.length, identity, term, serverTime: this.#time };
  }

  #askLeader(from: number): ModelWrite[] {
    const leader = this.#leader;
    return leader.answers-- > 0 ? this.#after(leader.applied, from) : sorted(this.#entries, from);
  }

  /** A copy has what the bucket was some writes ago. */
  #askCopy(from: number): ModelWrite[] {
    return this.#lag > 0 ? this.#after(this.#last - this.#lag, from) : sorted(this.#entries, from);
  }

  #after(applied: number, from: number): ModelWrite[] {
    return sorted(this.#snapshots[Math.max(0, applied)] ?? this.#entries, from);
  }

  async #read(): Promise<void> {
    if (this.#naive) return;
    this.#isWanted = false;
    this.#isReading = true;
    this.#buffer.hold();
    const cuts = this.#cuts;
    const isDone = await this.#catchUp.run(this.#isCut);
    this.#isReading = false;
    if (!isDone) this.#isWanted = true;
    if (isDone && cuts === this.#cuts) this.#isCut = false;
    if (!this.#isCut) this.#buffer.release();
  }

  /** What happens while the answer to a read is on its way. */
  async #meanwhile(): Promise<void> {
    await null;
    const isTime = this.#isBusy
      ? (this.#questions++ + this.#script.length) % 3 === 0
      : this.#script.length % 2 === 1;
    if (this.#isReading && isTime && !this.#isRestoreNext) this.#step();
  }

  #step(): void {
    const action = this.#script.shift();
    if (!action) return;
    this.#time++;
    if (action.type === "write") this.#write(`key${action.key}`, action.tombstone ? "tombstone" : "session");
    else if (action.type === "deliver") this.#deliver(action.which);
    else if (action.type === "lose") this.#inFlight.splice(action.which % (this.#inFlight.length || 1), 1);
    else if (action.type === "repeat") this.#repeat(action.which);
    else if (action.type === "forge") {
      const sequence = Math.max(1, this.#last + action.offset);
      this.#inFlight.push(write(`key${action.key}`, sequence, this.#time - action.age, "forged"));
    } else if (action.type === "cut") this.#cut();
    else if (action.type === "sweep") this.#sweep();
    else if (action.type === "purge") this.#purge();
    else if (action.type === "rename") this.#creation++;
    else if (action.type === "recreate") this.#recreate();
    else if (action.type === "lag") this.#lag = action.back;
    else if (action.type === "elect") this.#elect(action.back, action.answers);
    else if (action.type === "restore") this.#restore(action.back, action.cut);
    else this.#isWanted = true;
  }

  #cut(): void {
    this.#inFlight.length = 0;
    this.#delivered.length = 0;
    this.#isCut = true;
    this.#cuts++;
    this.#buffer.cut();
    this.#isWanted = true;
  }

  /** Tombstones expire without a message, but not before they were emitted: a minute without word is `missed`. */
  #sweep(): void {
    for (const [key, { kind, sequence }] of this.#entries) {
      if (kind === "tombstone" && sequence <= this.#buffer.last) this.#entries.delete(key);
    }
  }

  #purge(): void {
    this.#entries.clear();
  }

  /** A leader of another term begins, at some writes before the end. */
  #elect(back: number, answers: number): void {
    const { number } = this.#leader;
    this.#leader = { number: number + 1, applied: Math.max(0, this.#last - back), answers };
  }

  /** Every link is cut: no message of the old bucket comes after one of the new. */
  #recreate(): void {
    this.#creation++;
    this.#last = 0;
    this.#entries.clear();
    this.#cut();
  }

  #write(key: string, kind: ModelWrite["kind"]): void {
    this.#last++;
    const entry = write(key, this.#last, this.#time, kind);
    this.#entries.set(key, entry);
    this.#snapshots[this.#last] = new Map(this.#entries);
    this.#inFlight.push(entry);
  }

  #restore(back: number, cut: boolean): void {
    this.#last = Math.max(0, this.#last - back);
    this.#entries = new Map(this.#snapshots[this.#last]);
    if (cut) this.#cut();
  }

  #deliver(which: number): void {
    const [message] = this.#inFlight.splice(which % (this.#inFlight.length || 1), 1);
    if (!message) return;
    this.#delivered.push(message);
    this.#receive(message);
  }

  #repeat(which: number): void {
    const message = this.#delivered[which % (this.#delivered.length || 1)];
    if (message) this.#receive(message);
  }

  #receive(message: ModelWrite): void {
    if (this.#naive) this.#onEmit(message);
    else this.#buffer.receive(message);
  }

  #onEmit(write: ModelWrite): void {
    const before = this.emitted.at(-1);
    if (before && before.sequence >= write.sequence) this.disorder.push(write.sequence);
    this.emitted.push(write);
    this.known.add(write);
  }

  /** The reader reads everything then. */
  #onMissed(): void {
    this.missed++;
    this.emitted = [];
    this.known = new Set(this.#entries.values());
  }
}
