import { readFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { UsageError } from "../exit.js";

/** The settings of a context of the `nats` command line that a connection needs. */
export interface NatsContext {
  readonly url?: string | undefined;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
  readonly token?: string | undefined;
  readonly creds?: string | undefined;
  readonly nkey?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  readonly ca?: string | undefined;
  readonly inboxPrefix?: string | undefined;
  readonly tlsFirst?: boolean | undefined;
  readonly domain?: string | undefined;
  readonly apiPrefix?: string | undefined;
}

/** Settings without which the connection would be another one than the context describes. */
const UNSUPPORTED = ["nsc", "user_jwt", "socks_proxy", "windows_cert_store"];

const NAME = /^[^/\\\0]+$/;

/**
 * Reads a context of the `nats` command line; it is never written.
 * @throws UsageError where there is none, or it needs what this program does not have
 */
export function readContext(name: string, env: NodeJS.ProcessEnv): NatsContext {
  if (!NAME.test(name) || name.startsWith("."))
    throw new UsageError("Expected --context to be the name of a context");
  const folder = join(env.XDG_CONFIG_HOME || join(homedir(), ".config"), "nats", "context");
  const json = parsed(join(folder, `${name}.json`), name);
  const missing = UNSUPPORTED.filter((field) => text(json, field) !== undefined);
  if (missing.length > 0) {
    throw new UsageError(
      `Expected a context without ${missing.join(", ")}, which nats-sessions does not know`,
    );
  }
  const path = (field: string) => expanded(text(json, field), env);
  return {
    url: text(json, "url"),
    user: text(json, "user"),
    password: text(json, "password"),
    token: text(json, "token"),
    creds: path("creds"),
    nkey: path("nkey"),
    cert: path("cert"),
    key: path("key"),
    ca: path("ca"),
    inboxPrefix: text(json, "inbox_prefix"),
    tlsFirst: json.tls_first === true,
    domain: text(json, "jetstream_domain"),
    apiPrefix: text(json, "jetstream_api_prefix"),
  };
}

function parsed(file: string, name: string): { readonly [field: string]: unknown } {
  let content: string;
  try {
    content = readFileSync(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new UsageError(
      `Expected a context "${name}" of the nats command line: ${file} cannot be read (${code})`,
    );
  }
  try {
    const json: unknown = JSON.parse(content);
    if (typeof json === "object" && json !== null) return json as { readonly [field: string]: unknown };
  } catch {
    // The parser's message would quote the file, which may hold a password.
  }
  throw new UsageError(`Expected ${file} to hold a context in JSON`);
}

function text(json: { readonly [field: string]: unknown }, field: string): string | undefined {
  const value = json[field];
  return typeof value === "string" && value !== "" ? value : undefined;
}

/** Paths in a context may begin with `~` and name variables. */
function expanded(path: string | undefined, env: NodeJS.ProcessEnv): string | undefined {
  return path
    ?.replace(/^~(?=\/|$)/, homedir())
    .replace(/\$(\w+)|\$\{(\w+)\}/g, (whole, plain, braced) => env[plain ?? braced] ?? whole);
}
