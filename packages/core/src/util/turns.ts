import { nextTurn } from "./timers.js";

/** Gives the turns of the event loop one by one, so that other work of the process comes between large pieces. */
export class Turns {
  #last: Promise<void> = Promise.resolve();

  /** Resolves in a turn that no other caller gets. */
  next(): Promise<void> {
    this.#last = this.#last.then(nextTurn);
    return this.#last;
  }
}
