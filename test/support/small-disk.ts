import { execFile } from "node:child_process";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Enough for a server to start with. */
const SIZE = "24m";

/** A disk of a server that can be full. */
export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** From now on the server with this process id finds no space for what it writes. */
  fill(pid: number): Promise<void>;
  free(pid: number): Promise<void>;
}

/**
 * A file system of its own, which takes the rights to mount one. Without them the server gets a limit for its
 * files instead: for it each write fails as well, with another text.
 */
export async function smallDisk(): Promise<SmallDisk> {
  const path = await mkdtemp(join(tmpdir(), "small-disk-"));
  const filler = join(path, "filler");
  const isMounted = await run("mount", ["-t", "tmpfs", "-o", `size=${SIZE}`, "tmpfs", path]).then(
    () => true,
    () => false,
  );
  const limit = (pid: number, bytes: string) =>
    run("prlimit", ["--pid", String(pid), `--fsize=${bytes}:unlimited`]);
  return {
    path,
    async fill(pid) {
      if (isMounted) await writeUntilFull(filler);
      else await limit(pid, "1");
    },
    async free(pid) {
      if (isMounted) await rm(filler);
      else await limit(pid, "unlimited");
    },
    async [Symbol.asyncDispose]() {
      if (isMounted) await run("umount", ["-l", path]);
      await rm(path, { recursive: true, force: true });
    },
  };
}

async function writeUntilFull(path: string): Promise<void> {
  const file = await open(path, "w");
  try {
    for (;;) await file.write(Buffer.alloc(4096));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
  } finally {
    await file.close();
  }
}
