import type { Style, Terminal } from "./terminal.js";
import { jsonLine, printable } from "./text.js";

export type Format = "table" | "json" | "csv" | "ids" | "count" | "prometheus";

/** What a value is in JSON and CSV. */
export type Value = string | number | boolean | null;

/** One thing that is told of each row. */
export interface Column<R> {
  /** Name of the field in JSON and CSV; part of the documented interface. */
  readonly name: string;
  readonly value: (row: R) => Value;
  /** How the table shows it; without it the table does not. */
  readonly table?: {
    readonly title: string;
    /** Rows are printed as they come, so the width is known beforehand. Longer texts push what follows. */
    readonly width: number;
    readonly align?: "right";
    readonly text?: (row: R) => string;
    readonly style?: (row: R) => Style | undefined;
  };
}

/** Prints rows as they come. */
export interface RowWriter<R> {
  write(rows: readonly R[]): Promise<void>;
  /** Prints what comes at the end. */
  end(): Promise<void>;
  readonly count: number;
}

/** @param idOf what the format `ids` prints of a row */
export function rowWriter<R>(
  format: Format,
  terminal: Terminal,
  columns: readonly Column<R>[],
  idOf: (row: R) => string,
): RowWriter<R> {
  let count = 0;
  const { header, line } = printers(format, terminal, columns, idOf);
  const begin = () => (count === 0 ? terminal.print(...header()) : undefined);
  return {
    get count() {
      return count;
    },
    async write(rows) {
      if (rows.length === 0) return;
      await begin();
      count += rows.length;
      if (line) await terminal.print(...rows.map(line));
    },
    async end() {
      if (format === "count") await terminal.print(String(count));
      // A table without rows prints nothing; CSV has its header whatever follows.
      if (format === "csv") await begin();
    },
  };
}

interface Printers<R> {
  readonly header: () => string[];
  readonly line: ((row: R) => string) | undefined;
}

function printers<R>(
  format: Format,
  terminal: Terminal,
  columns: readonly Column<R>[],
  idOf: (row: R) => string,
): Printers<R> {
  const none = () => [];
  switch (format) {
    case "json":
      return { header: none, line: (row) => jsonLine(objectOf(columns, row)) };
    case "csv":
      return {
        header: () => [columns.map(({ name }) => name).join(",")],
        line: (row) => columns.map(({ value }) => csvField(value(row))).join(","),
      };
    case "ids":
      return { header: none, line: idOf };
    case "count":
      return { header: none, line: undefined };
    default:
      return {
        header: () => [tableHeader(terminal, columns)],
        line: (row) => tableLine(terminal, columns, row),
      };
  }
}

export function objectOf<R>(columns: readonly Column<R>[], row: R): { readonly [name: string]: Value } {
  return Object.fromEntries(columns.map(({ name, value }) => [name, value(row)]));
}

/** As RFC 4180 has it. */
function csvField(value: Value): string {
  const text = value === null ? "" : printable(String(value));
  return /[",]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
}

function tableHeader<R>(terminal: Terminal, columns: readonly Column<R>[]): string {
  const cells = columns.flatMap(({ table }) =>
    table ? [terminal.style("bold", padded(table.title, table.width, table.align))] : [],
  );
  return cells.join("  ").trimEnd();
}

function tableLine<R>(terminal: Terminal, columns: readonly Column<R>[], row: R): string {
  const cells = columns.flatMap(({ table, value }) => {
    if (!table) return [];
    const text = padded(printable(table.text?.(row) ?? String(value(row) ?? "-")), table.width, table.align);
    const style = table.style?.(row);
    return [style ? terminal.style(style, text) : text];
  });
  return cells.join("  ").trimEnd();
}

export function padded(text: string, width: number, align?: "right"): string {
  return align === "right" ? text.padStart(width) : text.padEnd(width);
}
