import { type NatsServer, startNatsServer } from "nats-dev-server";
import { afterAll, beforeAll, describe, test } from "vitest";
import { newBucket } from "../support/variants.js";

interface Client {
  before?(first: number, count: number): void;
  operation(index: number): Promise<unknown>;
  after?(done: number): Promise<void>;
  close(): Promise<unknown>;
}

const SESSIONS = 5;

/** Twice each session. */
const OPERATIONS = 2 * SESSIONS;

/** The clients that are measured with an operation that is repeated, with settings of their own. */
const clients: [file: string, settings: object][] = [
  ["store-load", {}],
  ["request-load", {}],
  ["kv-get", {}],
  ["store-save", {}],
  ["request-save", {}],
  ["js-publish", {}],
  ["unchecked-write", {}],
  ["bare-publish", { checked: true }],
  ["bare-publish", { checked: false }],
  ["users-save", { withUsers: true }],
  ["users-save", { withUsers: false }],
];

describe("what a benchmark repeats is done, whatever has changed in the store", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server.stop());

  test.each(clients)("%s %o", async (file, settings) => {
    const { open } = (await import(`./clients/${file}.mjs`)) as {
      open(settings: object): Promise<Client>;
    };
    const client = await open({ url: server.url, bucket: newBucket(), sessions: SESSIONS, ...settings });
    client.before?.(0, OPERATIONS);
    for (let index = 0; index < OPERATIONS; index++) await client.operation(index);
    await client.after?.(OPERATIONS);
    await client.close();
  });
});
