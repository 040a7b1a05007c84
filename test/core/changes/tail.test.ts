import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { startNatsServer } from "nats-dev-server";
import { describe, expect, it, onTestFinished } from "vitest";
import { BadNetwork } from "../../support/bad-network.js";
import { openPatient } from "../../support/patient.js";
import { randomFrom, seed } from "../../support/random.js";
import { bucketsOf, byBucket, idsIn } from "../../support/shards.js";
import { saveBriefly } from "../../support/stores.js";
import { type Connection, clientsAndShards, newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";

type Data = Record<string, unknown>;

/** Expects that no change comes twice, and those of each bucket in order. */
function expectOrder({ changes }: Witness, shards: number): void {
  for (const own of byBucket(changes, shards)) {
    const revisions = own.map(({ revision }) => revision);
    expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
  }
}

describe.each(clientsAndShards())(
  "after an interruption of the connection over $name",
  { timeout: 120_000 },
  ({ connect, shards }) => {
    const start = async () => {
      const server = await startNatsServer();
      onTestFinished(() => server.stop());
      const bucket = newBucket();
      const network = await BadNetwork.start(server.port);
      onTestFinished(() => network.close());
      const open = async (servers: string) => {
        // The server tells its own address, which would be a way around the network.
        const nc: Connection = await connect({ servers, ignoreClusterUpdates: true } as { servers: string });
        onTestFinished(() => nc.close());
        return { nc, store: await openPatient<Data>(nc, { bucket, shards, touchAfter: 0 }) };
      };
      const { nc, store: writer } = await open(server.url);
      return { server, network, bucket, nc, writer, reader: (await open(network.url)).store };
    };

    it("the feed tells what has ended meanwhile and the latest change of other sessions, once each and in order", async () => {
      const { network, reader, writer } = await start();
      for (const id of ["ended", "updated", "untouched"]) await writer.save(id, { user: id });
      const [witness, local] = [await Witness.of(reader), await Witness.of(writer)];
      const { handle, revision } = await saveBriefly(writer, "expired", {}, 1500);
      await witness.untilChange(handle, revision);
      network.cut();
      await writer.destroy("ended");
      let record = await writer.load("updated");
      for (let n = 1; n <= 5; n++) {
        record = (await writer.save("updated", { n }, { record: record ?? undefined })).record;
      }
      const begun = (await writer.save("begun", {})).record;
      await local.until("the expiry", () => local.of(writer.handleOf("expired")).includes("expired"));
      network.mend();
      await witness.until("five changes", (changes) => changes.length >= 5);
      await witness.untilEndOf(writer, shards);
      expect(witness.of(reader.handleOf("ended"))).toEqual(["destroyed"]);
      expect(witness.of(reader.handleOf("expired"))).toEqual(["created", "expired"]);
      expect(witness.of(reader.handleOf("updated"))).toEqual(["updated"]);
      expect(witness.of(reader.handleOf("untouched"))).toEqual([]);
      expect(witness.changes.find(({ handle }) => handle === begun?.handle)?.revision).toBe(begun?.revision);
      expectOrder(witness, shards);
      await Promise.all([witness.stop(), local.stop()]);
    });

    it("the feed agrees with the stored sessions, whatever happens to the server", async () => {
      console.log(`SESSION_TEST_SEED=${seed}`);
      const random = randomFrom(seed);
      const { server, reader, writer } = await start();
      const witnesses = [await Witness.of(reader), await Witness.of(reader)];
      const names = Array.from({ length: 12 }, (_, n) => `session-${n}`);
      let isDone = false;
      const trouble = (async () => {
        for (let n = 0; n < 4; n++) {
          await sleep(100 + random() * 300);
          if (random() < 0.5) {
            await server.kill();
            await server.restart();
          } else {
            await server.pause();
            await sleep(random() * 300);
            await server.resume();
          }
        }
        isDone = true;
      })();
      while (!isDone) {
        const id = names[Math.floor(random() * names.length)] as string;
        // A write may fail meanwhile; what became of it is there in the end.
        const write = random() < 0.3 ? writer.destroy(id) : writer.save(id, { n: random() });
        await write.catch(() => {});
      }
      await trouble;
      for (const witness of witnesses) {
        await witness.untilEndOf(writer, shards);
        expectOrder(witness, shards);
        expect(witness.seen).toHaveLength(witness.changes.length);
        for (const id of names) {
          const told = witness.changes.filter(({ handle }) => handle === reader.handleOf(id)).at(-1);
          const record = await reader.load(id);
          expect([id, told?.type === "destroyed" || !told]).toEqual([id, record === null]);
          if (record) expect(told?.revision).toBe(record.revision);
        }
        await witness.stop();
      }
    });

    it("the feed tells that it missed changes and goes on when the bucket was created again", async () => {
      const { bucket, nc, reader, writer } = await start();
      const [begun, last, ...before] = idsIn(writer, 0, shards, 7) as [string, string, ...string[]];
      for (const id of before) await writer.save(id, {});
      const witness = await Witness.of(reader);
      const { streams } = await jetstreamManager(nc as never);
      const { config } = await streams.info(`KV_${bucketsOf(bucket, shards)[0]}`);
      await streams.delete(config.name);
      await streams.add(config);
      await writer.save(begun, {});
      await until("that it missed some", () => witness.seen.some(({ type }) => type === "missed"));
      await writer.save(last, {});
      await witness.until("the last one", () => witness.of(reader.handleOf(last)).length === 1);
      expect(witness.seen.filter(({ type }) => type === "missed")).toHaveLength(1);
      await witness.stop();
    });

    it("the feed begins once a server answers that was frozen at the start", async () => {
      const { server, reader, writer } = await start();
      await server.pause();
      const changes = reader.changes();
      const next = changes.next();
      await sleep(300);
      await server.resume();
      await changes.ready;
      const { record } = await writer.save("one", {});
      expect((await next).value).toMatchObject({ type: "created", handle: record?.handle });
      await changes.return();
    });
  },
);
