// `npm run repository`: writes the address of the repository, which the root's package.json holds, wherever the
// published packages and the issue forms need it. `-- --check` tells which files differ.
import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../../", import.meta.url));
const { repository, bugs } = JSON.parse(await readFile(join(root, "package.json"), "utf8"));
const home = repository.url.replace(/^git\+(.*)\.git$/, "$1");
const name = home.split("/").at(-1);

const different = [];
for (const folder of await publishedPackages()) {
  await write(`${folder}/package.json`, (text) => manifestWithAddress(JSON.parse(text), folder));
  await write(`${folder}/README.md`, withAddress);
}
if (process.argv.includes("--check")) {
  for (const file of different) console.error(`${file} names another repository: npm run repository`);
  if (different.length > 0) process.exitCode = 1;
}

async function publishedPackages() {
  const names = await readdir(join(root, "packages"));
  const folders = names.map((name) => `packages/${name}`);
  const isPrivate = await Promise.all(
    folders.map(
      async (folder) => JSON.parse(await readFile(join(root, folder, "package.json"), "utf8")).private,
    ),
  );
  return folders.filter((_, n) => !isPrivate[n]);
}

async function write(file, change) {
  const path = join(root, file);
  const text = await readFile(path, "utf8");
  const changed = change(text);
  if (changed === text) return;
  different.push(file);
  if (!process.argv.includes("--check")) await writeFile(path, changed);
}

function manifestWithAddress({ homepage: _h, repository: _r, bugs: _b, ...manifest }, directory) {
  const address = {
    homepage: `${home}/tree/main/${directory}#readme`,
    repository: { ...repository, directory },
    bugs,
  };
  const entries = Object.entries(manifest).flatMap(([key, value]) =>
    key === "license" ? [[key, value], ...Object.entries(address)] : [[key, value]],
  );
  return `${JSON.stringify(Object.fromEntries(entries), null, 2)}\n`;
}

function withAddress(text) {
  return text.replaceAll(new RegExp(`https://github\\.com/[\\w-]+/${name}/`, "g"), `${home}/`);
}
