import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { debianNatsServer, type NatsServer, startNatsServer } from "nats-dev-server";
import type { TestProject } from "vitest/node";

declare module "vitest" {
  export interface ProvidedContext {
    /** The server of `findNatsServer`: unless told otherwise one with a TTL for each message (2.11 and later). */
    currentServer: string;
    currentVersion: string;
    /** A server of the time before, or nothing where none can be had or wanted. */
    oldServer: string | undefined;
    /** Where the packages are packed, once for all files. */
    packedFolder: string;
  }
}

/** Starts the two servers that most tests share, each test with buckets of its own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const current = await startNatsServer({ timeout: 60_000 });
  const old = await startOldServer();
  project.provide("currentServer", current.url);
  project.provide("currentVersion", current.version);
  project.provide("oldServer", old?.url);
  const packedFolder = await mkdtemp(join(tmpdir(), "packed-"));
  project.provide("packedFolder", packedFolder);
  return async () => {
    await Promise.all([current.stop(), old?.stop(), rm(packedFolder, { recursive: true, force: true })]);
  };
}

async function startOldServer(): Promise<NatsServer | undefined> {
  // The matrix tries one server at a time.
  if (process.env.SESSION_TEST_OLD_SERVER === "none") return undefined;
  try {
    const { path } = await debianNatsServer("trixie");
    return await startNatsServer({ binary: path, timeout: 60_000 });
  } catch (error) {
    if (process.env.CI) throw error;
    console.warn(`No nats-server 2.10, its tests are left out: ${(error as Error).message}`);
    return undefined;
  }
}
