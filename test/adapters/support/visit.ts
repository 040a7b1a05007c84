/** What a test lets one request do, in the same words for every framework. */
export interface Visit {
  /** The session's data as the framework offers them to the application. */
  readonly session: Record<string, unknown>;
  /** Stores the session now, in the middle of the request. */
  save(): Promise<void>;
  /** Gives the session a new id. */
  regenerate(): Promise<void>;
  /** Signs out. */
  destroy(): Promise<void>;
  /** Changes the life of the cookie, and nothing else. */
  setMaxAge(ms: number): void;
}

/** The part of a request that a test brings along; what it returns comes back as the answer's `result`. */
export type Step<V extends Visit> = (visit: V) => unknown;

/** Settings that mean the same to every framework. */
export interface Settings {
  readonly maxAge?: number;
  readonly rolling?: boolean;
}

/** Where a visitor sends its requests. */
export interface Target<V extends Visit> {
  readonly url: string;
  /** Registers a step. @returns the path that runs it, once */
  pathOf(step: Step<V>): string;
}
