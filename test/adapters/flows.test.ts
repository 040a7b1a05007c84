import { readFileSync } from "node:fs";
import { startNatsServer } from "nats-dev-server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { natsParty } from "../bench/flows/parties.mjs";
import { messagesOf, natsVariants } from "../bench/flows.mjs";

let server: Awaited<ReturnType<typeof startNatsServer>>;
beforeAll(async () => {
  server = await startNatsServer();
});
afterAll(() => server.stop());

const page = readFileSync(new URL("../../packages/core/docs/benchmarks.md", import.meta.url), "utf8");

/** The numbers of a column of one of the page's tables, by the row's name. */
function documented(column: string): Record<string, number> {
  for (const part of page.split("\n\n")) {
    const [titles = [], , ...rows] = part
      .split("\n")
      .map((line) => line.split("|").map((cell) => cell.trim()));
    const place = titles.indexOf(column);
    const numbers = rows.filter((row) => /^\d+$/.test(row[place] ?? ""));
    if (numbers.length > 0 && numbers.length === rows.length) {
      return Object.fromEntries(numbers.map((row) => [row[1] ?? "", Number(row[place])]));
    }
  }
  throw new Error(`benchmarks.md has no column "${column}"`);
}

describe("the messages that a request makes the store send", () => {
  for (const framework of ["express", "koa"] as const) {
    const name = framework === "koa" ? "koa-session-nats" : "connect-nats";
    it.each(Object.entries(natsVariants))(
      `are those of benchmarks.md for ${name}%s`,
      async (suffix, options) => {
        const start = (isDue: boolean) =>
          natsParty(server.url, framework, {
            bucket: `${framework}${suffix.length}`,
            ...options,
            ...(isDue ? { touchAfter: 0 } : {}),
          });
        const messages = await messagesOf(framework, start);
        const expected = documented(name + suffix);
        const rows = Object.entries(messages).map(([row, count]) => [
          framework === "koa" ? `Koa: ${row}` : row,
          count,
        ]);
        expect(Object.fromEntries(rows)).toEqual(expected);
      },
    );
  }
});
