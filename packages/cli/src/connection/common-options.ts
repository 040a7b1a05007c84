import type { OptionSpecs } from "../input/arguments.js";

/** Options of every command. */
export const COMMON_OPTIONS: OptionSpecs = {
  server: {
    type: "string",
    value: "URL",
    help: "NATS server, several with commas (NATS_URL) [nats://127.0.0.1:4222]",
  },
  context: {
    type: "string",
    value: "NAME",
    help: "context of the nats command line, read only (NATS_CONTEXT)",
  },
  creds: { type: "string", value: "FILE", help: "credentials of a user (NATS_CREDS)" },
  nkey: { type: "string", value: "FILE", help: "seed of a user's nkey (NATS_NKEY)" },
  "nats-user": { type: "string", value: "NAME", help: "NATS user (NATS_USER)" },
  password: { type: "string", value: "TEXT", help: "the NATS user's password; better NATS_PASSWORD" },
  token: { type: "string", value: "TEXT", help: "token instead of a user; better NATS_TOKEN" },
  tlscert: { type: "string", value: "FILE", help: "the client's certificate (NATS_CERT)" },
  tlskey: { type: "string", value: "FILE", help: "its key (NATS_KEY)" },
  tlsca: { type: "string", value: "FILE", help: "certificates to trust (NATS_CA)" },
  "inbox-prefix": { type: "string", value: "TEXT", help: "for an account that may not subscribe to _INBOX" },
  timeout: { type: "string", value: "TIME", help: "how long the server may take to answer [5s]" },
  bucket: { type: "string", value: "NAME", help: "bucket of the sessions [sessions]" },
  domain: { type: "string", value: "NAME", help: "JetStream domain of the bucket" },
  "api-prefix": { type: "string", value: "TEXT", help: "start of the JetStream API's subjects [$JS.API]" },
  shards: { type: "string", value: "N", help: "how many buckets the sessions are spread over [1]" },
  prefix: { type: "string", value: "TEXT", help: "the application's prefix in the bucket" },
  "encryption-key": {
    type: "string",
    value: "ID=KEY",
    multiple: true,
    help: "opens encrypted sessions; KEY is base64, @FILE or env:NAME",
  },
  "user-key": {
    type: "string",
    value: "KEY",
    multiple: true,
    help: "finds users hashed with a secret; the current one first",
  },
  format: { type: "string", value: "FORMAT", help: "form of the output" },
  "no-color": { type: "boolean", help: "no colours (NO_COLOR)" },
  help: { type: "boolean", short: "h", help: "this help, also -h" },
};

/** The NATS user under the name that the `nats` command line has, where it means no session's user. */
export const NATS_USER_ALIAS: OptionSpecs = {
  user: { type: "string", value: "NAME", help: "same as --nats-user" },
};
