import { type ConnectionOptions, credsAuthenticator, nkeyAuthenticator } from "@nats-io/transport-node";
import { UsageError } from "../exit.js";
import type { Values } from "../input/arguments.js";
import { readSecretFile } from "../input/secrets.js";
import { type NatsContext, readContext } from "./nats-context.js";

const DEFAULT_SERVER = "nats://127.0.0.1:4222";

/**
 * What the options, a context or the variables say of the connection. An option goes before a context, and a context
 * replaces the variables as a whole, so that no password of one goes to the server of the other.
 * @throws UsageError
 */
export function connectionSettings(values: Values, env: NodeJS.ProcessEnv): NatsContext {
  const name = values.text("context") ?? (env.NATS_URL ? undefined : env.NATS_CONTEXT);
  const options = fromOptions(values);
  const settings = { ...(name ? readContext(name, env) : fromVariables(env)), ...options };
  // One of the two names the JetStream: an option of either kind replaces what a context has of both.
  const { domain, apiPrefix } = options.domain || options.apiPrefix ? options : settings;
  return { ...settings, domain, apiPrefix };
}

/** @throws UsageError */
export function connectOptions(settings: NatsContext, timeout: number): ConnectionOptions {
  const servers = (settings.url ?? DEFAULT_SERVER).split(",").map((text) => serverIn(text.trim()));
  const [login] = servers.flatMap((server) => server.login ?? []);
  const { inboxPrefix } = settings;
  return {
    name: "nats-sessions",
    servers: servers.map(({ server }) => server),
    timeout,
    maxReconnectAttempts: -1,
    ...loginIn({ ...login, ...settings }),
    ...tlsIn(
      settings,
      servers.some(({ isTls }) => isTls),
    ),
    ...(inboxPrefix ? { inboxPrefix } : {}),
  };
}

function fromVariables(env: NodeJS.ProcessEnv): NatsContext {
  return given({
    url: env.NATS_URL,
    user: env.NATS_USER,
    password: env.NATS_PASSWORD,
    token: env.NATS_TOKEN,
    creds: env.NATS_CREDS,
    nkey: env.NATS_NKEY,
    cert: env.NATS_CERT,
    key: env.NATS_KEY,
    ca: env.NATS_CA,
  });
}

function fromOptions(values: Values): NatsContext {
  return given({
    url: values.text("server"),
    user: values.text("nats-user"),
    password: values.text("password"),
    token: values.text("token"),
    creds: values.text("creds"),
    nkey: values.text("nkey"),
    cert: values.text("tlscert"),
    key: values.text("tlskey"),
    ca: values.text("tlsca"),
    inboxPrefix: values.text("inbox-prefix"),
    domain: values.text("domain"),
    apiPrefix: values.text("api-prefix"),
  });
}

function given(settings: NatsContext): NatsContext {
  return Object.fromEntries(Object.entries(settings).filter(([, value]) => value));
}

interface Server {
  readonly server: string;
  readonly isTls: boolean;
  readonly login: Pick<NatsContext, "user" | "password" | "token"> | undefined;
}

/** A URL may hold a user and a password, or a token; they are not left in what messages may show. */
function serverIn(text: string): Server {
  const url = text.includes("://") ? text : `nats://${text}`;
  if (!URL.canParse(url)) throw new UsageError("Expected --server to be a URL such as nats://host:4222");
  const { protocol, host, username, password } = new URL(url);
  if (!["nats:", "tls:"].includes(protocol) || host === "") {
    throw new UsageError("Expected --server to be a URL of nats:// or tls://");
  }
  const [user, secret] = [decodeURIComponent(username), decodeURIComponent(password)];
  const login = user === "" ? undefined : secret === "" ? { token: user } : { user, password: secret };
  return { server: host, isTls: protocol === "tls:", login };
}

/** @throws UsageError for a file that cannot be read or holds no credentials */
function loginIn({ creds, nkey, token, user, password }: NatsContext): Partial<ConnectionOptions> {
  if (creds !== undefined) {
    const content = readSecretFile(creds, "the credentials");
    if (!content.includes("NATS USER JWT"))
      throw new UsageError(`Expected ${creds} to be a file of credentials`);
    return { authenticator: credsAuthenticator(content) };
  }
  if (nkey !== undefined) {
    const seed = readSecretFile(nkey, "the seed of the nkey").toString("latin1").trim();
    if (!/^SU[A-Z2-7]{56}$/.test(seed))
      throw new UsageError(`Expected ${nkey} to hold the seed of a user's nkey`);
    return { authenticator: nkeyAuthenticator(Buffer.from(seed)) };
  }
  if (token !== undefined) return { token };
  if (user === undefined) return {};
  return { user, pass: password ?? "" };
}

function tlsIn({ cert, key, ca, tlsFirst }: NatsContext, isTls: boolean): Partial<ConnectionOptions> {
  if ((cert === undefined) !== (key === undefined)) {
    throw new UsageError("Expected a certificate and its key together: --tlscert and --tlskey");
  }
  if (cert === undefined && ca === undefined && !tlsFirst && !isTls) return {};
  const files = { certFile: cert, keyFile: key, caFile: ca };
  for (const path of Object.values(files)) if (path !== undefined) readSecretFile(path, "the certificates");
  return {
    tls: {
      ...Object.fromEntries(Object.entries(files).filter(([, path]) => path !== undefined)),
      ...(tlsFirst ? { handshakeFirst: true } : {}),
    },
  };
}
