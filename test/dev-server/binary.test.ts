import { chmod, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { findNatsServer, natsServerVersion, startNatsServer } from "nats-dev-server";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

let directory: string;
let executable: string;
const { platform, arch } = process;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "binary-test-"));
  executable = join(directory, "nats-server");
  await writeFile(executable, "#!/bin/sh\necho nats-server: v9.8.7\n");
  await chmod(executable, 0o755);
  vi.stubEnv("NATS_SERVER_BIN", undefined);
});

afterEach(async () => {
  pretendToBe(platform, arch);
  vi.unstubAllEnvs();
  await rm(directory, { recursive: true });
});

function pretendToBe(onPlatform: NodeJS.Platform, onArch: NodeJS.Architecture) {
  Object.defineProperty(process, "platform", { value: onPlatform });
  Object.defineProperty(process, "arch", { value: onArch });
}

describe("findNatsServer", () => {
  test("takes the option before anything else", () => {
    vi.stubEnv("NATS_SERVER_BIN", "/not/asked");
    expect(findNatsServer({ binary: executable })).toEqual({ path: executable, source: "option" });
  });

  test("takes NATS_SERVER_BIN next", () => {
    vi.stubEnv("NATS_SERVER_BIN", executable);
    expect(findNatsServer()).toEqual({ path: executable, source: "NATS_SERVER_BIN" });
  });

  test.runIf(platform === "linux" && arch === "x64")(
    "takes the pinned npm package on Linux x64",
    async () => {
      const found = findNatsServer();
      expect(found.source).toBe("npm");
      await expect(natsServerVersion(found.path)).resolves.toMatch(/^2\.\d+\.\d+$/);
    },
  );

  test("takes nats-server from the PATH where the npm package does not fit", () => {
    pretendToBe("linux", "arm64");
    vi.stubEnv("PATH", directory);
    expect(findNatsServer()).toEqual({ path: executable, source: "PATH" });
  });

  test("an option or a NATS_SERVER_BIN that names no executable file is an error, not a reason to look further", async () => {
    const missing = join(directory, "missing");
    expect(() => findNatsServer({ binary: missing })).toThrow(`The option \`binary\` names ${missing}`);
    vi.stubEnv("NATS_SERVER_BIN", missing);
    expect(() => findNatsServer()).toThrow(
      `NATS_SERVER_BIN names ${missing}, which is not an executable file`,
    );
    vi.stubEnv("NATS_SERVER_BIN", directory);
    expect(() => findNatsServer()).toThrow("not an executable file");
    await chmod(executable, 0o644);
    vi.stubEnv("NATS_SERVER_BIN", executable);
    expect(() => findNatsServer()).toThrow("not an executable file");
    await expect(startNatsServer()).rejects.toThrow(`NATS_SERVER_BIN names ${executable}`);
  });

  test.each([
    ["linux", "apt install nats-server"],
    ["darwin", "brew install nats-server"],
    ["win32", "scoop install nats-server"],
    ["freebsd", "github.com/nats-io/nats-server"],
  ] as const)("with none anywhere, the error says how to get one on %s", (onPlatform, advice) => {
    pretendToBe(onPlatform, "arm64");
    vi.stubEnv("PATH", "");
    expect(() => findNatsServer()).toThrow("No nats-server found.");
    expect(() => findNatsServer()).toThrow(advice);
    expect(() => findNatsServer()).toThrow("NATS_SERVER_BIN");
  });
});

describe("natsServerVersion", () => {
  test("is the version that the binary reports", async () => {
    await expect(natsServerVersion(executable)).resolves.toBe("9.8.7");
  });

  test("refuses a program that is not a nats-server", async () => {
    await expect(natsServerVersion(process.execPath)).rejects.toThrow("does not look like a nats-server");
  });
});
