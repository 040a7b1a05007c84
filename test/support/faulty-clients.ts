import type { Client, ScheduledStore } from "./schedule.js";

/** A client with other calls in place of some of its store's: to show that a fault there would be found. */
export function replacing(client: Client, calls: Partial<ScheduledStore>): Client {
  const own = (name: keyof ScheduledStore) => client.store[name].bind(client.store) as never;
  const store: ScheduledStore = {
    load: own("load"),
    save: own("save"),
    touch: own("touch"),
    destroy: own("destroy"),
    rotate: own("rotate"),
  };
  return { ...client, store: { ...store, ...calls } };
}

/** It keeps what it has read, and is told nothing. */
export function deaf(client: Client): Client {
  const held = new Map<string, ReturnType<ScheduledStore["load"]>>();
  const load = (id: string) => {
    const found = held.get(id) ?? client.store.load(id);
    held.set(id, found);
    return found;
  };
  return replacing(client, { load });
}
