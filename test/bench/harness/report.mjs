/**
 * A number that the project has promised, or one that is only told.
 *
 * @typedef {object} Figure
 * @property {string} name
 * @property {number} value
 * @property {string} [target] for example `≤ 0.45`
 * @property {boolean} [reached]
 *
 * @typedef {object} Report
 * @property {Record<string, Record<string, string | number>>} medians the rows of the table: name → column → value
 * @property {Figure[]} figures
 * @property {string[]} [notes] what one has to know about the rows
 */

/** @returns {Figure} */
export function atMost(limit, name, value) {
  return { name, value: rounded(value), target: `≤ ${limit}`, reached: value <= limit };
}

/** @returns {Figure} */
export function atLeast(limit, name, value) {
  return { name, value: rounded(value), target: `≥ ${limit}`, reached: value >= limit };
}

/** @returns {Figure} */
export function told(name, value) {
  return { name, value: rounded(value) };
}

/** Three digits that count. */
export function rounded(value) {
  return value >= 100 ? Math.round(value) : Number(value.toPrecision(3));
}

/**
 * @param {string} name
 * @param {Report} report
 */
export function printReport(name, { medians, figures, notes = [] }) {
  console.log(`\n${name}, medians`);
  const columns = [...new Set(Object.values(medians).flatMap(Object.keys))];
  table([
    ["", ...columns],
    ...Object.entries(medians).map(([row, cells]) => [row, ...columns.map((column) => cells[column] ?? "")]),
  ]);
  for (const note of notes) console.log(`- ${note}`);
  if (figures.length === 0) return;
  console.log("");
  table(
    figures.map(({ name, value, target = "", reached }) => [
      name,
      value,
      target,
      reached === undefined ? "" : reached ? "reached" : "MISSED",
    ]),
  );
}

function table(rows) {
  const widths = rows[0].map((_, column) => Math.max(...rows.map((row) => String(row[column]).length)));
  for (const row of rows) {
    const cells = row.map((cell, column) =>
      typeof cell === "number" || column > 0
        ? String(cell).padStart(widths[column])
        : String(cell).padEnd(widths[column]),
    );
    console.log(cells.join("  ").trimEnd());
  }
}
