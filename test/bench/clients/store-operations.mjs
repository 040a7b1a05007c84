import { inFlight } from "../harness/in-flight.mjs";
import { openStore } from "../stores.mjs";
import { idOf, sessionData } from "./sessions.mjs";

const DAY = 86_400_000;

/** The operations of a store for express-session, with callbacks as express-session calls them. */
export async function open({ store: settings, sessions }) {
  const { store, close } = await openStore(settings);
  // As express-session does: what the store does for hosts of other kinds is not measured.
  store.generate = () => {};
  const call = (method, ...args) =>
    new Promise((resolve, reject) => {
      store[method](...args, (error, result) => (error ? reject(error) : resolve(result)));
    });
  const ids = Array.from({ length: sessions }, (_, index) => idOf(index));
  await inFlight(64, sessions, (index) => {
    const session = sessionData(index);
    session.cookie.expires = new Date(Date.now() + DAY).toISOString();
    return call("set", ids[index], session);
  });
  const loaded = new Array(sessions);
  const load = async (index) => {
    const session = await call("get", ids[index]);
    if (!session) throw new Error("A session is missing");
    return session;
  };
  const operations = {
    load,
    save: (index) => {
      loaded[index].visits++;
      return call("set", ids[index], loaded[index]);
    },
    touch: (index) => call("touch", ids[index], loaded[index]),
  };
  let operation = load;
  return {
    use: (name) => {
      operation = operations[name];
    },
    before: () =>
      inFlight(64, sessions, async (index) => {
        loaded[index] = await load(index);
      }),
    operation: (index) => operation(index % sessions),
    close,
  };
}
