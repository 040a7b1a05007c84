/**
 * Runs tasks that belong to the same object one after the other, in the order of the calls; a task that has
 * nobody before it starts at once. For adapters: several saves of one session object must not take each other
 * for somebody else.
 */
export class Turns {
  readonly #last = new WeakMap<object, Promise<unknown>>();

  /** Whether a task of this object would start at once. */
  isFree(owner: object): boolean {
    return !this.#last.has(owner);
  }

  run<T>(owner: object, task: () => Promise<T>): Promise<T> {
    const before = this.#last.get(owner);
    const turn = before ? before.then(task, task) : task();
    this.#last.set(owner, turn);
    const leave = () => {
      if (this.#last.get(owner) === turn) this.#last.delete(owner);
    };
    turn.then(leave, leave);
    return turn;
  }
}
