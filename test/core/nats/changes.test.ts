import { jetstreamManager } from "@nats-io/jetstream";
import { connect as connectV3 } from "@nats-io/transport-node";
import { connect as connectV2 } from "nats";
import { startNatsServer } from "nats-dev-server";
import { afterAll, describe, expect, it, onTestFinished } from "vitest";
import { openPatient } from "../../support/patient.js";
import { Stores } from "../../support/stores.js";
import { type Connection, newBucket, type Variant, variants } from "../../support/variants.js";
import { Witness } from "../../support/witness.js";

/** A bucket that is as a store wants it, but for its republish. */
async function createWithout(stores: Stores, republish?: { src: string; dest: string }) {
  const bucket = newBucket();
  const nc: Connection = await stores.connect();
  await (await openPatient(nc, { bucket })).close();
  const { streams } = await jetstreamManager(nc as never);
  const { republish: _republish, ...config } = (await streams.info(`KV_${bucket}`)).config;
  await streams.delete(`KV_${bucket}`);
  await streams.add(republish ? { ...config, republish } : config);
  return { bucket, nc };
}

describe.each(variants())("a bucket over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  const create = (republish?: { src: string; dest: string }) => createWithout(stores, republish);

  it.each([undefined, "of a part only"])(
    "that republishes nothing (or a part: %s) stores sessions and rejects changes() with a code",
    async (part) => {
      const { bucket, nc } = await create();
      const src = `beside-${bucket}.>`;
      if (part !== undefined) {
        const { streams } = await jetstreamManager(nc as never);
        const { config } = await streams.info(`KV_${bucket}`);
        await streams.delete(`KV_${bucket}`);
        const subjects = [...config.subjects, src];
        await streams.add({ ...config, subjects, republish: { src, dest: "elsewhere.>" } });
      }
      const store = await openPatient(nc, { bucket });
      await store.save("one", {});
      const changes = store.changes();
      await expect(changes.ready).rejects.toMatchObject({ code: "ERR_SESSION_NO_FEED" });
      await expect(changes.next()).rejects.toMatchObject({ code: "ERR_SESSION_NO_FEED" });
      expect(await changes.next()).toEqual({ done: true, value: undefined });
      expect(await store.load("one")).not.toBeNull();
      await store.close();
    },
  );

  it("that republishes to another subject has a feed", async () => {
    const dest = `other-${newBucket()}.>`;
    const { bucket, nc } = await create({ src: ">", dest });
    const store = await openPatient(nc, { bucket });
    const witness = await Witness.of(store);
    const { record } = await store.save("one", {});
    await witness.untilRevision(record?.revision as number);
    expect(witness.of(store.handleOf("one"))).toEqual(["created"]);
    await witness.stop();
  });
});

describe.each(variants())("a bucket without a feed over $name", (variant: Variant) => {
  const stores = new Stores(variant);
  afterAll(() => stores.close());

  it("gets one with `updateBucket: true`", async () => {
    const { bucket, nc } = await createWithout(stores);
    await (await openPatient(nc, { bucket })).save("one", {});
    const store = await openPatient(nc, { bucket, updateBucket: true });
    const witness = await Witness.of(store);
    const { record } = await store.save("two", {});
    await witness.untilRevision(record?.revision as number);
    expect(await store.load("one")).not.toBeNull();
    await witness.stop();
  });
});

describe.each(Object.entries({ "@nats-io/transport-node 3": connectV3, "nats 2.29": connectV2 }))(
  "an account over %s",
  (_name, connect) => {
    it("that may not subscribe to the feed is told the subject and can do everything else", async () => {
      const server = await startNatsServer({
        config: `authorization { users: [
          { user: admin, password: p },
          { user: app, password: p, permissions: { publish: ">", subscribe: "_INBOX.>" } }
        ] }`,
      });
      onTestFinished(() => server.stop());
      const nc = await connect({ servers: server.url, user: "app", pass: "p" });
      onTestFinished(() => nc.close());
      const store = await openPatient(nc);
      for (let i = 0; i < 3; i++) {
        const changes = store.changes();
        const refusal = {
          code: "ERR_SESSION_PERMISSION",
          message: expect.stringContaining('"session-changes.sessions.>"'),
        };
        await expect(changes.ready).rejects.toMatchObject(refusal);
        await expect(changes.next()).rejects.toMatchObject(refusal);
      }
      await store.save("one", {});
      expect(await store.load("one")).not.toBeNull();
      await store.close();
    });
  },
);
