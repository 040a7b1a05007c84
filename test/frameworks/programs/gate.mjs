/** Holds requests back until they are released, so that a test says in which order they save. */
export class Gate {
  #waiting = [];

  get waiting() {
    return this.#waiting.length;
  }

  pass() {
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  release() {
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
}
