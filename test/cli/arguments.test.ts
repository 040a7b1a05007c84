import { describe, expect, it } from "vitest";
import { run } from "./support/program.js";
import { startApplication } from "./support/sessions.js";

const SECRET = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3I=";

describe("wrong use ends with 2 and one line that says what was expected", () => {
  it.each<[string[], RegExp]>([
    [[], /Expected a command: list, show, end, watch, stats, audit, doctor, init, upgrade, migrate/],
    [["lits"], /Unknown command. Expected list, show/],
    [["list", "--limt", "3"], /Unknown option --limt\. See: nats-sessions list --help/],
    [["list", "more"], /Expected no argument after list/],
    [["list", "--limit"], /Expected a value after --limit: N/],
    [["list", "--limit", "0"], /Expected --limit to be a whole number, at least 1/],
    [["list", "--limit", "2", "--limit", "3"], /Expected --limit once/],
    [["list", "--user", ""], /Expected a value after --user/],
    [["list", "--idle", "soon"], /Expected --idle to be a duration such as 30s, 15m, 2h or 7d/],
    [["list", "--format", "xml"], /Expected --format to be table or json or csv or ids or count/],
    [["show"], /Expected one handle: show HANDLE/],
    [["show", "short"], /Expected a handle, as `nats-sessions list` shows it/],
    [["show", "--format", "ids"], /Expected --format to be table or json/],
    [["list", "--bucket", "a.b"], /Expected `bucket` to be a name of letters, digits, - and _/],
    [["list", "--server", "http://host"], /Expected --server to be a URL of nats:\/\/ or tls:\/\//],
    [["list", "--timeout", "0s"], /Expected --timeout to be a duration/],
    [["list", "--no-color=yes"], /Expected no value after --no-color/],
    [["list", "--nats-user", "ada", "--tlscert", "/a"], /Expected a certificate and its key together/],
    [["list", "--creds", "/does/not/exist"], /Expected the credentials in a file that can be read/],
    [["init", "--replicas", "6", "--yes"], /Expected --replicas to be a whole number from 1 to 5/],
    [["init", "--max-bytes", "big", "--yes"], /Expected --max-bytes to be a size such as 512MiB or 10GB/],
    [["init", "--persist", "async", "--replicas", "3", "--yes"], /Expected `replicas` to be 1/],
    [["upgrade", "--storage", "memory", "--yes"], /Unknown option --storage/],
    [["stats", "--interval", "2s"], /Expected --watch with --interval/],
    [["list", "--encryption-key", SECRET], /Expected --encryption-key to be 32 bytes in base64/],
    [
      ["list", "--encryption-key", "k1"],
      /Expected --encryption-key to be ID=BASE64, ID=@FILE or ID=env:NAME/,
    ],
    [
      ["list", "--encryption-key", `k1=${SECRET}${SECRET}`],
      /Expected --encryption-key to be 32 bytes in base64/,
    ],
    [["list", "--encryption-key", "k1=env:NOWHERE"], /in the variable NOWHERE, which is not set/],
    [["list", "--encryption-key", "k1=@/does/not/exist"], /Expected --encryption-key in a file/],
    [["list", SECRET], /Expected no argument/],
    [["list", `--${SECRET}`], /Unknown option/],
  ])("%j", async (args, message) => {
    const { code, stdout, stderr } = await run(args, { bare: true });
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd().split("\n")).toHaveLength(1);
    expect([code, stdout]).toEqual([2, ""]);
    if (!args.includes(`--${SECRET}`)) expect(stderr).not.toContain(SECRET.slice(0, 10));
  });
});

it("nobody to talk to ends with 3 and the store's error", async () => {
  const { code, stdout, stderr } = await run(["list", "--server", "nats://127.0.0.1:1"]);
  expect([code, stdout]).toEqual([3, ""]);
  expect(stderr).toBe(
    "nats-sessions: Sessions cannot be reached: connecting to NATS failed: connection refused (ERR_SESSION_UNAVAILABLE). Tried: 127.0.0.1:1\n",
  );
});

it("a bucket that is missing ends with 1, says how to make it, and is not made", async () => {
  for (const command of [["list"], ["stats"], ["watch"], ["end", "--all", "--yes"]]) {
    const { code, stderr } = await run([...command, "--bucket", "missing"]);
    expect(code).toBe(1);
    expect(stderr).toBe(
      'nats-sessions: There is no bucket "missing"; nats-sessions init makes it (ERR_SESSION_BUCKET_MISSING)\n',
    );
  }
});

it("--help describes the program and each command, --version prints the version", async () => {
  const general = await run(["--help"], { bare: true });
  expect([general.code, general.stderr]).toEqual([0, ""]);
  for (const name of [
    "list",
    "show",
    "end",
    "watch",
    "stats",
    "audit",
    "doctor",
    "init",
    "upgrade",
    "migrate",
  ]) {
    expect(general.stdout).toMatch(new RegExp(`\n  ${name} +`));
    const help = await run([name, "--help"], { bare: true });
    expect(help.code).toBe(0);
    expect(help.stdout).toMatch(new RegExp(`^Usage: nats-sessions ${name} `));
  }
  expect(await run(["-h"], { bare: true })).toEqual(general);
  expect((await run(["list", "-h"], { bare: true })).stdout).toMatch(/^Usage: nats-sessions list /);
  expect((await run(["--version"], { bare: true })).stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
});

it("options may stand before the command", async () => {
  const { bucket, signIn } = await startApplication();
  await signIn("an id");
  expect((await run(["--bucket", bucket, "--format", "count", "list"])).stdout).toBe("1\n");
});
