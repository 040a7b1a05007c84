import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, inject, test } from "vitest";
import { newBucket } from "../support/variants.js";

test("nothing keeps a process alive whose connection is closed", async () => {
  const program = fileURLToPath(new URL("programs/ends.mjs", import.meta.url));
  const { stdout, stderr } = await promisify(execFile)(
    process.execPath,
    [program, inject("currentServer"), newBucket()],
    { timeout: 50_000 },
  );
  expect(stdout).toBe("2 true 1 true\n");
  expect(stderr).toBe("");
});
