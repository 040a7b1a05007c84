import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { fileURLToPath } from "node:url";

const main = fileURLToPath(new URL("client-main.mjs", import.meta.url));
const profiles = fileURLToPath(new URL("../../.cache/profiles/", import.meta.url));

/**
 * A client under test in a process of its own, so that the CPU time it reports is its own and so that no other
 * client's objects and types are in its heap and its optimised code.
 *
 * @typedef {object} Client
 * @property {string} name
 * @property {string | undefined} profile where its CPU profile will be, once it has stopped
 * @property {(method: string, ...args: unknown[]) => Promise<any>} call calls a method of the client's module
 * @property {() => Promise<void>} stop
 */

/**
 * @param {string} name how it is called in tables
 * @param {object} options
 * @param {string} options.file name of a module in `clients/`
 * @param {Record<string, unknown>} options.settings for the module's `open`
 * @param {Record<string, string>} [options.env] environment variables beside ours
 * @param {boolean} [options.profile] whether to write a CPU profile
 * @param {string[]} [options.flags] of Node
 * @returns {Promise<Client>}
 */
export async function startClient(name, { file, settings, env = {}, profile = false, flags = [] }) {
  const execArgv = ["--expose-gc", ...flags];
  const profileName = `${name.replace(/[^a-z0-9]+/gi, "-")}.cpuprofile`;
  if (profile) {
    await mkdir(profiles, { recursive: true });
    execArgv.push("--cpu-prof", `--cpu-prof-dir=${profiles}`, `--cpu-prof-name=${profileName}`);
  }
  const child = fork(main, [file], { execArgv, env: { ...process.env, ...env } });
  const exited = once(child, "exit");
  const failed = exited.then(([code, signal]) => {
    throw new Error(`The client "${name}" ended by itself (${signal ?? code})`);
  });
  failed.catch(() => {});

  const call = async (method, ...args) => {
    child.send({ method, args });
    const [{ error, result }] = await Promise.race([once(child, "message"), failed]);
    if (error !== undefined) throw new Error(`The client "${name}" failed in ${method}: ${error}`);
    return result;
  };
  await call("open", settings);
  return {
    name,
    profile: profile ? profiles + profileName : undefined,
    call,
    stop: async () => {
      child.disconnect();
      await exited;
    },
  };
}
