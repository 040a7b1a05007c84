/** Lets all callers of the same moment share one run of a task. */
export class SingleFlight<T> {
  readonly #task: () => Promise<T>;
  #flight: Promise<T> | undefined;

  constructor(task: () => Promise<T>) {
    this.#task = task;
  }

  /** Starts the task, or joins the run that is under way. */
  run(): Promise<T> {
    if (this.#flight) return this.#flight;
    const flight = this.#task();
    this.#flight = flight;
    const end = () => {
      this.#flight = undefined;
    };
    flight.then(end, end);
    return flight;
  }
}
