import type { SessionStoreOptions } from "nats-session-store";

export type Data = Record<string, unknown>;

/** What a step may do in its request. */
export interface Request {
  readonly session: Data;
  /** Stores the session in the middle of the request. */
  save(): Promise<void>;
  signOut(): Promise<void>;
  /** Gives the browser a session of this user under a new id. */
  signInAs(user: string): Promise<void>;
  setMaxAge(ms: number): void;
}

export interface Browser {
  /** Sends a request that runs the step, and waits for its answer; requests overlap by being sent within a step. */
  send(step: (request: Request) => unknown): Promise<undefined>;
  /** Another browser with the same cookies from here on. */
  copy(): Browser;
}

export interface Settings {
  readonly maxAge?: number;
  readonly rolling?: boolean;
}

export interface Scenario {
  /** What happens, and what must hold then; both are parts of the title. */
  readonly name: string;
  readonly holds: string;
  /** Whether the benchmark compares stores in it. */
  readonly compared?: boolean;
  /** Where it runs. Default: everywhere. */
  readonly only?: readonly string[];
  readonly options?: SessionStoreOptions;
  readonly settings?: Settings;
  /** What the session of the user `ada` holds at the start; `null`: there is none. */
  readonly data?: Data | null;
  /** @returns the browser that is looked at in the end, where it is another one */
  play(browser: Browser): Promise<Browser | undefined>;
  /** What the next request finds, beside the user `ada`; `null`: no session. */
  readonly left: Data | null;
  /** Whether the session of the start has ended. */
  readonly ended: boolean;
  /** The operations that met an ended session, or how many; `undefined`: not looked at. */
  readonly gone: readonly string[] | number | undefined;
  /** The errors that reach the application. */
  readonly failures: readonly object[];
  /** Time to live in ms after the last write. */
  readonly ttl?: number;
  /** How many sessions there are in the end. */
  readonly count?: number;
}

export const scenarios: readonly Scenario[];
