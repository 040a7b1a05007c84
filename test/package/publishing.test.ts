import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { pages, root } from "./documents.js";

const workflows = join(root, ".github/workflows");

describe.each((await readdir(workflows)).map((name) => [name]))("the workflow %s", (name) => {
  const text = () => readFile(join(workflows, name), "utf8");

  test("names each action by a commit, with its version beside it", async () => {
    const uses = [...(await text()).matchAll(/uses: (.+)$/gm)].map(([, action]) => action);
    expect(uses.length).toBeGreaterThan(0);
    for (const action of uses) expect(action).toMatch(/^[\w-]+\/[\w-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$/);
  });

  test("may read the repository, and besides only prove to npm which workflow publishes", async () => {
    const granted = [...(await text()).matchAll(/^ +([\w-]+): (read|write)\b/gm)].map((match) =>
      match.slice(1),
    );
    expect([
      ["contents", "read"],
      ["id-token", "write"],
    ]).toEqual(expect.arrayContaining(granted));
    expect(await text()).toMatch(/^permissions:/m);
    expect(await text()).not.toMatch(/permissions: write-all|secrets\./);
  });
});

test.each([
  ["express", 60],
  ["express-commonjs", 60],
  ["koa", 60],
  ["devices", 200],
])("the example %s is one file of at most %i lines", async (name, most) => {
  const folder = join(root, "examples", name);
  const files = (await readdir(folder)).filter((file) => file !== "node_modules");
  expect(files.sort()).toEqual(["package.json", "server.js"]);
  const lines = (await readFile(join(folder, "server.js"), "utf8")).trimEnd().split("\n");
  expect(lines.length).toBeLessThanOrEqual(most);
});

test("each page begins with what one wants to do", async () => {
  const docs = (await pages()).filter(({ path }) => path.startsWith("packages/core/docs/"));
  expect(docs.length).toBeGreaterThan(10);
  const others = docs.filter(({ text }) => !/^# .+\n\nTo /.test(text)).map(({ path }) => path);
  expect(others).toEqual([]);
});

test("the issue form for faults asks for versions and for what the doctor says", async () => {
  const form = await readFile(join(root, ".github/ISSUE_TEMPLATE/bug.yml"), "utf8");
  for (const what of ["connect-nats", "nats-server", "Node:", "nats-session-cli doctor"]) {
    expect(form).toContain(what);
  }
});
