const START = "<!-- matrix:start -->";
const END = "<!-- matrix:end -->";

/** A Markdown table of the cells: a row for each server, a column for each Node. */
export function tableOf(cells) {
  const unique = (key) => [...new Set(cells.map((cell) => cell[key]))];
  const columns = unique("node");
  const rows = unique("server").map((server) => {
    const texts = columns.map((node) =>
      textOf(cells.find((cell) => cell.server === server && cell.node === node)),
    );
    return `| ${server} | ${texts.join(" | ")} |`;
  });
  const head = `| nats-server | ${columns.map((node) => `Node ${node}`).join(" | ")} |`;
  return [head, `|---${"|---".repeat(columns.length)}|`, ...rows].join("\n");
}

/** The page with the table between its marks. */
export function withTable(text, table) {
  const [start, end] = [text.indexOf(START), text.indexOf(END)];
  if (start < 0 || end < start) throw new Error(`The page has no ${START} and ${END}`);
  return `${text.slice(0, start + START.length)}\n\n${table}\n\n${text.slice(end)}`;
}

function textOf(cell) {
  if (cell === undefined) return "";
  return [cell.conformance, cell.faults]
    .filter((counts) => counts !== undefined)
    .map(({ passed, failed }) => (failed > 0 ? `**${failed} of ${passed + failed} failed**` : `${passed}`))
    .join(" + ");
}
