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
  | { readonly type: "forge"; readonly offset: number; readonly key: number; readonly age: number };

export interface Decisions {
  /** Leaves everything out that the gap buffer does beyond passing messages on. */
  readonly naive?: boolean;
}

function write(key: string, sequence: number, time: number, kind: ModelWrite["kind"]): ModelWrite {
  return { key, sequence, time, kind, writtenAt: () => time };
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
  /** A bucket that is created again has another time of creation, and so has one of which another server answers. */
  #creation = 0;
  readonly #snapshots: Map<string, ModelWrite>[] = [new Map()];
  readonly #inFlight: ModelWrite[] = [];
  readonly #delivered: ModelWrite[] = [];
  readonly #script: Action[];
  readonly #buffer: GapBuffer<ModelWrite>;
  readonly #catchUp: CatchUp<ModelWrite>;
  readonly #naive: boolean;
  #isCut = false;
  #isReading = false;

  constructor(script: readonly Action[], { naive = false }: Decisions = {}) {
    this.#script = [...script];
    this.#naive = naive;
    this.#buffer = new GapBuffer<ModelWrite>({
      emit: (write) => this.#onEmit(write),
      isSame: (one, other) => one.key === other.key && one.time === other.time && one.kind === other.kind,
    });
    this.#catchUp = new CatchUp(this.#buffer, this, () => this.#onMissed(), 0);
  }

  /** Runs the script to its end; then everything in flight arrives, and the reader comes to rest. */
  async run(): Promise<void> {
    await this.#catchUp.begin(this.#position());
    this.#buffer.release();
    while (this.#script.length > 0) {
      if (this.#isRestoreNext) await this.#settle();
      this.#step();
      if (this.#isWanted) await this.#read();
    }
    await this.#settle();
    await this.#read();
    await this.#settle();
  }

  /** Everything in flight arrives, and the reader comes to rest. */
  async #settle(): Promise<void> {
    while (this.#inFlight.length > 0) this.#deliver(0);
    for (let round = 0; this.#buffer.isBehind; round++) {
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
    return [...this.#entries.values()].find((entry) => entry.sequence === sequence) ?? null;
  }

  async readNext(sequence: number, key?: string) {
    await this.#meanwhile();
    return this.#from(sequence).find((entry) => key === undefined || entry.key === key) ?? null;
  }

  outlasts({ kind }: ModelWrite) {
    return kind === "session";
  }

  async *scan(from: number) {
    for (let next = from; ; ) {
      await this.#meanwhile();
      const batch = this.#from(next).slice(0, 3);
      const last = batch.at(-1);
      if (!last) return;
      yield batch.reverse();
      next = last.sequence + 1;
    }
  }

  #isWanted = false;

  #position() {
    const entries = this.#entries.size;
    const first = this.#from(0)[0]?.sequence ?? this.#last + 1;
    return { first, last: this.#last, entries, createdAt: `time ${this.#creation}`, serverTime: this.#time };
  }

  #from(sequence: number): ModelWrite[] {
    const entries = [...this.#entries.values()].filter((entry) => entry.sequence >= sequence);
    return entries.sort((one, other) => one.sequence - other.sequence);
  }

  async #read(): Promise<void> {
    if (this.#naive) return;
    this.#isWanted = false;
    this.#isReading = true;
    this.#buffer.hold();
    const cutBefore = this.#isCut;
    const isDone = await this.#catchUp.run(cutBefore);
    this.#isReading = false;
    if (isDone && cutBefore) this.#isCut = false;
    if (!this.#isCut) this.#buffer.release();
  }

  /** What happens while the answer to a read is on its way. */
  async #meanwhile(): Promise<void> {
    await null;
    if (this.#isReading && this.#script.length % 2 === 1 && !this.#isRestoreNext) this.#step();
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
    else if (action.type === "restore") this.#restore(action.back, action.cut);
    else this.#isWanted = true;
  }

  #cut(): void {
    this.#inFlight.length = 0;
    this.#delivered.length = 0;
    this.#isCut = true;
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
