import { type Claim, sources, stores, topics } from "../comparison.js";
import type { Step } from "../tour.js";

/**
 * Three stores for the same jobs: sessions, configuration, flags, locks. None of them is the best: Redis has data
 * structures and speed in memory, etcd the strictest promises, NATS the messaging beside the store.
 *
 * The claims and where they were read are in ../comparison.ts.
 */
export const step: Step = {
  title: "NATS KV, Redis and etcd for the same jobs",

  async run({ say }) {
    row(say, "", stores);
    for (const { name, claims } of topics) {
      say(["-".repeat(nameWidth), ...stores.map(() => "-".repeat(cellWidth))].join("-+-"));
      row(say, name, claims.map(withSources));
    }
    say("");
    for (const [id, address] of Object.entries(sources)) say(`[${id}] ${address}`);
  },
};

const nameWidth = 15;
const cellWidth = 25;

/** One row of the table: as many lines as its longest cell needs. */
function row(say: (text: string) => void, name: string, cells: readonly string[]): void {
  const columns = cells.map(wrap);
  const height = Math.max(...columns.map((lines) => lines.length));
  for (let line = 0; line < height; line += 1) {
    const parts = columns.map((lines) => (lines[line] ?? "").padEnd(cellWidth));
    say([(line === 0 ? name : "").padEnd(nameWidth), ...parts].join(" | ").trimEnd());
  }
}

function withSources([text, ...ids]: Claim): string {
  return `${text} [${ids.join(",")}]`;
}

function wrap(text: string): string[] {
  const lines: string[] = [""];
  for (const word of text.split(" ")) {
    const last = lines.at(-1) ?? "";
    if (last !== "" && last.length + 1 + word.length > cellWidth) lines.push(word);
    else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
  }
  return lines;
}
