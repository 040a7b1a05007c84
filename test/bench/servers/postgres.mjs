import { execFile } from "node:child_process";
import { chown } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import pg from "pg";
import { findProgram, freePort, runProgram, subfolders, temporaryFolder } from "./program.mjs";

const run = promisify(execFile);
const install = "`apt-get install -y --no-install-recommends postgresql`, or `brew install postgresql`";

/** Where Debian keeps the programs, which are not on the PATH there. */
const debian = "/usr/lib/postgresql";

/** A PostgreSQL with the settings that it comes with. */
export async function startPostgres() {
  const program = findProgram("postgres", { install, folders: subfolders(debian, "bin") });
  const initdb = findProgram("initdb", {
    install,
    folders: [dirname(program), ...subfolders(debian, "bin")],
  });
  const { stdout } = await run(program, ["--version"]);
  const port = await freePort();
  const folder = await temporaryFolder("postgres");
  const user = await ordinaryUser();
  if (user) await chown(folder, user.uid, user.gid);

  // It refuses to run as root. setpriv becomes the program, so that the process is the one that is measured.
  const as = (program, args) =>
    user
      ? ["setpriv", [`--reuid=${user.uid}`, `--regid=${user.gid}`, "--clear-groups", program, ...args]]
      : [program, args];
  const data = join(folder, "data");
  await run(
    ...as(initdb, ["-D", data, "-U", "bench", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync"]),
    {
      cwd: folder,
    },
  );
  const url = `postgres://bench@127.0.0.1:${port}/postgres`;
  const [command, args] = as(program, ["-D", data, "-k", folder, "-p", `${port}`, "-h", "127.0.0.1"]);
  return runProgram({
    program: command,
    args,
    folder,
    url,
    version: /\d[\d.]*/.exec(stdout)?.[0] ?? stdout.trim(),
    answers: async () => {
      const client = new pg.Client({ connectionString: url });
      try {
        await client.connect();
      } finally {
        await client.end().catch(() => {});
      }
    },
  });
}

/** For root the user whom it is to run as. */
async function ordinaryUser() {
  if (process.getuid?.() !== 0) return undefined;
  for (const name of ["postgres", "nobody"]) {
    try {
      const [uid, gid] = await Promise.all(["-u", "-g"].map((flag) => run("id", [flag, name])));
      return { uid: Number(uid.stdout), gid: Number(gid.stdout) };
    } catch {}
  }
  throw new Error("PostgreSQL does not run as root, and there is neither a user `postgres` nor `nobody`.");
}
