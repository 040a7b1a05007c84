// `npm run test:matrix`: the conformance and fault suites on each nats-server and each Node; the table goes to
// packages/core/docs/operating.md. Every pair runs the conformance suite; the fault suite runs on every server with this Node and on every
// Node with the usual server, or with `--all` everywhere.
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { nodes } from "./nodes.mjs";
import { servers } from "./servers.mjs";
import { runSuite } from "./suite.mjs";
import { tableOf, withTable } from "./table.mjs";

const all = process.argv.includes("--all");
const results = fileURLToPath(new URL("results/matrix.json", import.meta.url));
const page = fileURLToPath(new URL("../../../packages/core/docs/operating.md", import.meta.url));

const cells = [];
for (const server of await servers()) {
  for (const node of await nodes()) {
    const cell = { server: server.name, node: node.version };
    cell.conformance = await runSuite("conformance", server, node);
    if (all || server.usual || node.usual) cell.faults = await runSuite("faults", server, node);
    cells.push(cell);
    console.log(JSON.stringify(cell));
  }
}

const table = tableOf(cells);
console.log(`\n${table}`);
await mkdir(fileURLToPath(new URL("results/", import.meta.url)), { recursive: true });
const date = new Date().toISOString().slice(0, 10);
await writeFile(results, `${JSON.stringify({ date, cells }, null, 2)}\n`);
await writeFile(page, withTable(await readFile(page, "utf8"), table));

const failed = cells.some(({ conformance, faults }) => conformance.failed > 0 || (faults?.failed ?? 0) > 0);
process.exitCode = failed ? 1 : 0;
