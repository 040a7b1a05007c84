import { connect } from "@nats-io/transport-node";
import type { SessionStore } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from "vitest";
import { BadNetwork } from "../../support/bad-network.js";
import { warm } from "../../support/cached.js";
import { openPatient } from "../../support/patient.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";
import { Nodes } from "../support/nodes.js";

type Data = Record<string, unknown>;

/** How long a machine under load may need for what takes milliseconds. */
const LONG = 60_000;

describe("the change feed of a bucket with three replicas", { timeout: 300_000 }, () => {
  let nodes: Nodes;
  let stores: SessionStore<Data>[];

  beforeAll(async () => {
    nodes = await Nodes.start();
    stores = await nodes.open<Data>({ cache: { maxStale: 1000 } });
  });
  afterAll(async () => {
    await Promise.all(stores.map((store) => store.close()));
    await nodes.close();
  });

  const store = (n: number) => stores[n % 3] as SessionStore<Data>;

  /** Writes through all nodes until it is stopped. @returns stops, and gives the sessions that are stored then */
  const write = () => {
    let isDone = false;
    const writers = stores.map(async (own, n) => {
      for (let round = 0; !isDone; round++) {
        const id = `session-${n}-${round % 20}`;
        const writing = round % 7 === 6 ? own.destroy(id) : own.save(id, { round });
        // A write may fail meanwhile; what became of it is read in the end.
        await writing.catch(() => {});
      }
    });
    return async () => {
      isDone = true;
      await Promise.all(writers);
    };
  };

  it("emits at every node what is stored in the end, and misses nothing, through elections and the death of a leader", async () => {
    // Whether a reader keeps up is not what is tested.
    const open = (own: SessionStore<Data>) =>
      Witness.of({ changes: () => own.changes({ buffer: 1_000_000 }) });
    const witnesses = await Promise.all(stores.map(open));
    onTestFinished(async () => void (await Promise.all(witnesses.map((witness) => witness.stop()))));
    const stop = write();
    for (let n = 0; n < 3; n++) await nodes.stepDown();
    const leader = nodes.server(await nodes.leader());
    await leader.kill();
    await leader.restart();
    await nodes.leader();
    await stop();
    const { record } = await store(0).save("last", {});
    const last = record?.revision as number;
    for (const [n, witness] of witnesses.entries()) {
      await until("the last write", () => (witness.changes.at(-1)?.revision ?? 0) >= last, LONG);
      const revisions = witness.changes.map(({ revision }) => revision);
      expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
      // No history was lost, so there is nothing that the bucket could not tell.
      expect(witness.seen.filter(({ type }) => type === "missed")).toEqual([]);
      for (let session = 0; session < 60; session++) {
        const id = `session-${session % 3}-${Math.floor(session / 3)}`;
        const emitted = witness.changes.filter(({ handle }) => handle === store(n).handleOf(id)).at(-1);
        const loaded = await store(n).load(id);
        expect([id, emitted?.type === "destroyed" || !emitted]).toEqual([id, loaded === null]);
        if (loaded) expect(emitted?.revision).toBe(loaded.revision);
      }
    }
  });

  it("does not say that it missed something where a server that was restarted leads, and all was written again during a cut", async () => {
    const leader = await nodes.leader();
    const [reading, writing] = [(leader + 1) % 3, (leader + 2) % 3];
    const network = await BadNetwork.start(nodes.server(reading).port);
    const nc = await connect({ servers: network.url, ignoreClusterUpdates: true, maxReconnectAttempts: -1 });
    const reader = await openPatient<Data>(nc, { bucket: nodes.bucket });
    const witness = await Witness.of(reader);
    onTestFinished(async () => {
      await witness.stop();
      await Promise.all([reader.close(), nc.close()]);
      await network.close();
    });
    const save = async () => (await store(writing).save("only", {})).record?.revision as number;
    await nodes.server(leader).kill();
    await nodes.server(leader).restart();
    // More than the feed compares with the bucket.
    for (let n = 0; n < 100; n++) await save();
    await witness.untilRevision(await save());
    network.cut();
    await nodes.lead(leader);
    const last = await save();
    network.mend();
    await witness.untilRevision(last);
    await until("the end of the cut", () => witness.interruptions.includes("resumed"));
    expect(witness.interruptions).toEqual(["cut", "resumed"]);
    expect(witness.seen.filter(({ type }) => type === "missed")).toEqual([]);
  });

  it("calls a listener at every node once for each end, and no cache serves a session after it", async () => {
    const ids = Array.from({ length: 60 }, (_, n) => `watched-${n}`);
    for (const [n, id] of ids.entries()) await store(n).save(id, {});
    await Promise.all(stores.map((own) => warm(own, "watched-0")));
    const ends = stores.map(() => new Map<string, number>());
    for (const [n, own] of stores.entries()) {
      for (const id of ids) {
        own.onEnded(own.handleOf(id), () => {
          ends[n]?.set(id, (ends[n]?.get(id) ?? 0) + 1);
        });
      }
    }
    const stop = write();
    for (const [n, id] of ids.entries()) {
      if (n % 20 === 10) await nodes.stepDown();
      await until("the end to be stored", () =>
        store(n)
          .destroy(id)
          .then(
            () => true,
            () => false,
          ),
      );
    }
    await stop();
    const isTold = (told: Map<string, number>) => ids.every((id) => told.has(id));
    await until("all listeners", () => ends.every(isTold), LONG);
    expect(ends.flatMap((told) => [...told.values()]).filter((times) => times !== 1)).toEqual([]);
    for (const own of stores) {
      expect(await Promise.all(ids.map((id) => own.load(id)))).toEqual(ids.map(() => null));
    }
  });
});
