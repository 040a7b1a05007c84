import { type ConnectionOptions, connect, type NatsConnection } from "@nats-io/transport-node";
import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { inject, onTestFinished } from "vitest";

const PATIENCE = 30_000;

import { newBucket } from "../../support/variants.js";

interface Data {
  user?: string;
  [key: string]: unknown;
}

/** A bucket of its own, and the store of an application that uses it. */
export interface Application {
  readonly bucket: string;
  readonly nc: NatsConnection;
  readonly store: SessionStore<Data>;
  /** Saves a session. @returns its handle */
  signIn(id: string, data?: Data, ttl?: number): Promise<string>;
}

export async function startApplication(
  options: SessionStoreOptions = {},
  server: ConnectionOptions = { servers: inject("currentServer") },
): Promise<Application> {
  const bucket = options.bucket ?? newBucket();
  const nc = await connect(server);
  const store = await SessionStore.open<Data>(nc, {
    bucket,
    timeout: PATIENCE,
    user: ({ user }: Data) => user,
    ...options,
  });
  onTestFinished(async () => {
    await store.close();
    await nc.close();
  });
  const signIn = async (id: string, data: Data = {}, ttl?: number) => {
    await store.save(id, data, { ttl });
    return store.handleOf(id);
  };
  return { bucket, nc, store, signIn };
}
