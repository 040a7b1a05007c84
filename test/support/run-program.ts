import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";

export interface Outcome {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Longer than a process takes that ends by itself, on a busy machine too, in ms; one that does not is killed. */
const LONG = 90_000;

const tests = fileURLToPath(new URL("..", import.meta.url));

/** Runs node in a process of its own, in the folder of the tests, and waits for its end. */
export function runNode(
  args: string[],
  environment: Record<string, string> = {},
  timeout = LONG,
): Promise<Outcome> {
  return new Promise((resolve) => {
    const env = { ...process.env, ...environment };
    const child = execFile(
      process.execPath,
      args,
      { cwd: tests, env, timeout, maxBuffer: 1 << 26 },
      (_error, stdout, stderr) => resolve({ code: child.exitCode, stdout, stderr }),
    );
  });
}

/** Runs a module given as text. @returns what it printed; it fails unless the process ends by itself and well */
export async function runModule(
  source: string,
  flags: string[] = [],
  environment: Record<string, string> = {},
): Promise<string> {
  const args = [...flags, "--input-type=module", "--eval", source];
  const { code, stdout, stderr } = await runNode(args, environment);
  if (code !== 0) throw new Error(`The process ended with ${code}: ${stdout}${stderr}`);
  return stdout + stderr;
}
