/** Runs tasks one after the other, in the order of the calls; a task without one before it starts at once. */
export class SerialQueue {
  #last: Promise<unknown> | undefined;

  /** Whether no task is running or waiting. */
  get isIdle(): boolean {
    return this.#last === undefined;
  }

  /** Runs a task after those that were given before, whether they succeeded or not. */
  run<R>(task: () => Promise<R>): Promise<R> {
    const turn = this.#last ? this.#last.then(task, task) : task();
    this.#last = turn;
    const done = () => {
      if (this.#last === turn) this.#last = undefined;
    };
    turn.then(done, done);
    return turn;
  }
}
