// `npm run packaging`: publint and Are The Types Wrong on the packages as they would be published.
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { publint } from "publint";
import { formatMessage } from "publint/utils";
import { packAll, run } from "./pack.mjs";

const attw = fileURLToPath(new URL("../node_modules/.bin/attw", import.meta.url));
const folder = await mkdtemp(join(tmpdir(), "packed-"));
let failed = false;

/** Are The Types Wrong has nothing to say of a package that nothing can be imported from. */
const hasTypes = (name) => name !== "nats-session-cli";

try {
  for (const [name, tarball] of Object.entries(await packAll(folder))) {
    const findings = [
      ...(await publintFindings(tarball)),
      ...(hasTypes(name) ? await attwFindings(tarball) : []),
    ];
    console.log(`${findings.length === 0 ? "ok    " : "FAILED"} ${name}`);
    for (const finding of findings) console.log(`       ${finding}`);
    failed ||= findings.length > 0;
  }
} finally {
  await rm(folder, { recursive: true, force: true });
}
process.exitCode = failed ? 1 : 0;

async function publintFindings(tarball) {
  const { buffer, byteOffset, byteLength } = await readFile(tarball);
  const content = buffer.slice(byteOffset, byteOffset + byteLength);
  const { messages, pkg } = await publint({ pack: { tarball: content }, strict: true, level: "suggestion" });
  return messages.map((message) => `publint: ${formatMessage(message, pkg)}`);
}

async function attwFindings(tarball) {
  try {
    await run(attw, [tarball, "--no-color", "--no-emoji"]);
    return [];
  } catch (error) {
    return [`attw: ${error.message}`];
  }
}
