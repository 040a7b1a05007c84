import { BASE } from "../variants.mjs";

/** A number as people read it: 12 345. */
export function number(value) {
  return typeof value === "number"
    ? value.toLocaleString("en", { maximumFractionDigits: 3 }).replaceAll(",", " ")
    : value;
}

/** @param {(string | number)[][]} rows the first holds the titles */
export function table([titles, ...rows]) {
  const line = (cells) => `| ${cells.map((cell) => number(cell ?? "")).join(" | ")} |`;
  return [line(titles), `|${titles.map(() => "---|").join("")}`, ...rows.map(line)].join("\n");
}

/** All rows of a result. */
export function wholeTable({ medians }) {
  const columns = [...new Set(Object.values(medians).flatMap(Object.keys))];
  return table([
    ["", ...columns],
    ...Object.entries(medians).map(([name, cells]) => [name, ...columns.map((column) => cells[column])]),
  ]);
}

/** What was promised, reached or not. */
export function figuresTable(figures) {
  return table([
    ["figure", "measured", "aim"],
    ...figures.map(({ name, value, target = "", reached }) => [
      name,
      value,
      reached === false ? `${target}, missed` : target,
    ]),
  ]);
}

/** Stores by workloads: requests per second, and the ratio to the store that the others are compared with. */
export function httpTable(groups) {
  const names = [...new Set(groups.flatMap(([, rows]) => rows.map(([name]) => name)))];
  const cell = (rows, name) => {
    const cells = rows.find(([other]) => other === name)?.[1];
    if (!cells) return "";
    const ratio = cells[`/ ${BASE}`];
    return number(cells["requests/s"]) + (ratio === undefined || ratio === "" ? "" : ` · ${ratio}`);
  };
  return table([
    ["requests/s · ratio", ...groups.map(([workload]) => workload)],
    ...names.map((name) => [name, ...groups.map(([, rows]) => cell(rows, name))]),
  ]);
}
