/** A database in a process of its own. */
export interface Database {
  readonly url: string;
  /** By SIGKILL; the data stay. */
  kill(): Promise<void>;
  restart(): Promise<void>;
  stop(): Promise<void>;
}
