import { SessionStore, type SessionStoreOptions } from "nats-session-store";
import { onTestFinished } from "vitest";
import { type Data, user } from "../../support/stores.js";
import { type Connection, connectCurrent } from "../../support/variants.js";

/** A store that is closed at the end of the test, with its connection. */
export async function open(options: SessionStoreOptions = {}, nc?: Connection): Promise<SessionStore<Data>> {
  const connection = nc ?? (await connectCurrent());
  const store = await SessionStore.open<Data>(connection, { timeout: 30_000, user, ...options });
  onTestFinished(async () => {
    await store.close();
    await connection.close();
  });
  return store;
}
