import { styleText } from "node:util";

export type Style = Parameters<typeof styleText>[0];

/** Least time between two redraws of the progress line, in ms. */
const REDRAW = 100;

const CLEAR_LINE = "\r\u001b[2K";

/** Where results (stdout) and messages (stderr) go. */
export class Terminal {
  /** Whether results are coloured. */
  readonly isColored: boolean;
  /** Whether results go to a terminal. */
  readonly isInteractive = process.stdout.isTTY === true;
  readonly #showsProgress = process.stderr.isTTY === true;
  #progress = "";
  #drawnAt = 0;

  constructor(env: NodeJS.ProcessEnv, noColor: boolean) {
    // https://no-color.org: set to anything but an empty string.
    this.isColored = this.isInteractive && !noColor && !env.NO_COLOR && env.TERM !== "dumb";
    for (const stream of [process.stdout, process.stderr]) {
      // The reader has enough: `nats-sessions list | head`.
      stream.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
    }
  }

  /** Prints lines of the result. Resolves when the reader can take more, so that nothing piles up in memory. */
  async print(...lines: readonly string[]): Promise<void> {
    if (lines.length === 0) return;
    await this.write(`${lines.join("\n")}\n`);
  }

  async write(text: string): Promise<void> {
    if (this.isInteractive) this.clearProgress();
    if (process.stdout.write(text)) return;
    await new Promise<void>((resolve) => {
      process.stdout.once("drain", resolve);
    });
  }

  /** Prints a message for people, apart from the result. */
  note(line: string): void {
    this.clearProgress();
    process.stderr.write(`${line}\n`);
  }

  /** Shows how far a long command is, on one line that is drawn over; only on a terminal. */
  progress(text: () => string): void {
    if (!this.#showsProgress) return;
    const time = performance.now();
    if (time - this.#drawnAt < REDRAW) return;
    this.#drawnAt = time;
    this.#progress = text().slice(0, Math.max(1, (process.stderr.columns || 80) - 1));
    process.stderr.write(CLEAR_LINE + this.#progress);
  }

  clearProgress(): void {
    if (this.#progress === "") return;
    this.#progress = "";
    process.stderr.write(CLEAR_LINE);
  }

  style(style: Style, text: string): string {
    // Whether there are colours is decided above; Node.js would take an empty NO_COLOR for set.
    return this.isColored ? styleText(style, text, { validateStream: false }) : text;
  }
}
