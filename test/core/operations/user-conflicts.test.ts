import type { SessionRecord, SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { type Data, handlesOf, Stores } from "../../support/stores.js";
import { newBucket, type Variant, variantsAndShards } from "../../support/variants.js";

const NAMES = ["ada", "bob"];

/** What the process that knows users does meanwhile, and whose session it is then. */
const meanwhile = [
  { what: "signed in", before: undefined, after: "ada" },
  { what: "signed in as another user", before: "ada", after: "bob" },
  { what: "signed out", before: "ada", after: undefined },
];

/** One write of a session, on top of what was loaded before the other process wrote. @returns the id it has then */
type Write = (store: SessionStore<Data>, id: string, record: SessionRecord<Data>) => Promise<string>;

const merging: Record<string, Write> = {
  "a save": async (store, id, record) => {
    await store.save(id, { ...record.data, n: 1 }, { record });
    return id;
  },
  "an unchanged save": async (store, id, record) => {
    await store.save(id, record.data, { record, touchUnchanged: true });
    return id;
  },
  "a touch": async (store, id, record) => {
    await store.touch(id, record, { ttl: 900_000_000 });
    return id;
  },
  "an update": async (store, id) => {
    await store.update(id, (data) => {
      data.n = 1;
    });
    return id;
  },
  "a rotation": async (store, id, record) => {
    await store.rotate(id, `${id} again`, { ...record.data, n: 1 }, { record });
    return `${id} again`;
  },
};

/** These replace the data, with the user's name in them; so only a store without `user` keeps the user. */
const replacing: Record<string, Write> = {
  "a save without a record": async (store, id) => {
    await store.save(id, { n: 1 });
    return id;
  },
  "a save without a record that looks first": async (store, id) => {
    await store.save(id, { n: 1 }, { mayExist: true });
    return id;
  },
};

describe.each(variantsAndShards())("the user of a session over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  const check = async (
    write: Write,
    { before, after }: (typeof meanwhile)[number],
    options: { user?: undefined } = {},
  ) => {
    const bucket = newBucket();
    const knowing = await stores.open({ bucket });
    const [first, late] = [
      await stores.open({ bucket, ...options }),
      await stores.open({ bucket, ...options }),
    ];
    // One has loaded the session, the other knows nothing of it.
    for (const [n, store] of [first, late].entries()) {
      const id = `session ${n}`;
      const { record } = await knowing.save(id, before ? { user: before } : {});
      const loaded = (await first.load(id)) as SessionRecord<Data>;
      await knowing.save(id, after ? { user: after } : {}, { record: record ?? undefined });
      const handle = knowing.handleOf(await write(store, id, loaded));
      const owners: string[] = [];
      for (const name of NAMES) if ((await handlesOf(knowing, name)).includes(handle)) owners.push(name);
      expect(owners).toEqual(after ? [after] : []);
      for (const name of NAMES) expect(await knowing.destroyByUser(name)).toBe(name === after ? 1 : 0);
    }
  };

  describe.each(meanwhile)("that was $what by another process meanwhile", (change) => {
    it.each(Object.entries({ ...merging, ...replacing }))(
      "stays as that process left it after %s in a process without `user`",
      (_what, write) => check(write, change, { user: undefined }),
    );

    it.each(Object.entries(merging))(
      "stays as that process left it after %s in a process with `user`",
      (_what, write) => check(write, change),
    );
  });
});
