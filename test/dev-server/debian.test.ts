import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { debianNatsServer, startNatsServer } from "nats-dev-server";
import { describe, expect, test } from "vitest";

const hasApt = (process.env.PATH ?? "")
  .split(delimiter)
  .some((directory) => existsSync(join(directory, "apt-get")));

describe.runIf(hasApt)("debianNatsServer", () => {
  test("gives bookworm's nats-server 2.9, which runs here", async () => {
    const { path, version } = await debianNatsServer("bookworm");
    expect(version).toMatch(/^2\.9\./);
    await using server = await startNatsServer({ binary: path });
    expect(server.version).toBe(version);
  });

  test("gives the same copy again, also to calls at the same time", async () => {
    const [one, two] = await Promise.all([debianNatsServer("bookworm"), debianNatsServer("bookworm")]);
    expect(one).toEqual(two);
    expect(existsSync(one.path)).toBe(true);
  });
});
