import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import type { GoneEvent } from "connect-nats";
import { until } from "../../support/wait.js";
import type { Data } from "./signed-in.js";

/** What a request asks an application of `programs/` to do. */
export interface Task {
  /** Wait here, with the session loaded, until the test says so; a name that is used once. */
  readonly wait?: string;
  readonly set?: Data;
  readonly remove?: readonly string[];
  /** Add to the session's counter. */
  readonly count?: number;
  readonly signOut?: boolean;
}

type Message = { readonly url?: string; readonly waits?: string; readonly gone?: GoneEvent };

/** An application in a process of its own. */
export class AppProcess {
  readonly url: string;
  /** What its store has told about sessions that were ended elsewhere. */
  readonly gone: GoneEvent[] = [];
  readonly #process: ChildProcess;
  readonly #waiting = new Set<string>();

  private constructor(child: ChildProcess, url: string) {
    this.#process = child;
    this.url = url;
    child.on("message", ({ waits, gone }: Message) => {
      if (waits !== undefined) this.#waiting.add(waits);
      if (gone !== undefined) this.gone.push(gone);
    });
  }

  static async start(program: string, servers: string, bucket: string): Promise<AppProcess> {
    const child = fork(program, [servers, bucket], { execArgv: [] });
    const ended = once(child, "exit").then(() => {
      throw new Error(`${program} ended before it listened`);
    });
    const [{ url }] = (await Promise.race([once(child, "message"), ended])) as [Message];
    ended.catch(() => {});
    return new AppProcess(child, url as string);
  }

  /** Until a request waits at this place. */
  async waitsAt(name: string): Promise<void> {
    await until(`a request to wait at ${name}`, () => this.#waiting.has(name));
  }

  /** Lets the request go on that waits at this place. */
  go(name: string): void {
    this.#process.send({ go: name });
  }

  /** Ends the process; it closes what it has opened. @returns its exit code */
  async stop(): Promise<number | null> {
    const ended = once(this.#process, "exit");
    this.#process.disconnect();
    const [code] = await ended;
    return code;
  }
}
