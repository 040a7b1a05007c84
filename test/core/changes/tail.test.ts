import { setTimeout as sleep } from "node:timers/promises";
import { jetstreamManager } from "@nats-io/jetstream";
import { startNatsServer } from "nats-dev-server";
import { describe, expect, it, onTestFinished } from "vitest";
import { BadNetwork } from "../../support/bad-network.js";
import { openPatient } from "../../support/patient.js";
import { randomFrom, seed } from "../../support/random.js";
import { saveBriefly } from "../../support/stores.js";
import { type Connection, clients, newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";

type Data = Record<string, unknown>;

describe.each(Object.entries(clients))(
  "after an interruption of the connection over %s",
  { timeout: 120_000 },
  (_name, connect) => {
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
        return { nc, store: await openPatient<Data>(nc, { bucket, touchAfter: 0 }) };
      };
      const { nc, store: writer } = await open(server.url);
      return { server, network, bucket, nc, writer, reader: (await open(network.url)).store };
    };

    it("the feed tells what has ended meanwhile and the latest change of other sessions, once each and in order", async () => {
      const { network, reader, writer } = await start();
      for (const id of ["ended", "updated", "untouched"]) await writer.save(id, { user: id });
      const [witness, local] = [await Witness.of(reader), await Witness.of(writer)];
      const { revision } = await saveBriefly(writer, "expired", {}, 1500);
      await witness.untilRevision(revision);
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
      await writer.save("last", {});
      await witness.until("the last", (changes) =>
        changes.some(({ handle }) => handle === reader.handleOf("last")),
      );
      expect(witness.of(reader.handleOf("ended"))).toEqual(["destroyed"]);
      expect(witness.of(reader.handleOf("expired"))).toEqual(["created", "expired"]);
      expect(witness.of(reader.handleOf("updated"))).toEqual(["updated"]);
      expect(witness.of(reader.handleOf("untouched"))).toEqual([]);
      expect(witness.changes.find(({ handle }) => handle === begun?.handle)?.revision).toBe(begun?.revision);
      const revisions = witness.changes.map(({ revision }) => revision);
      expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
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
      const last = (await writer.save("last", {})).record;
      for (const witness of witnesses) {
        await witness.untilRevision(last?.revision as number);
        const revisions = witness.changes.map(({ revision }) => revision);
        expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
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
      for (let n = 0; n < 5; n++) await writer.save(`session-${n}`, {});
      const witness = await Witness.of(reader);
      const { streams } = await jetstreamManager(nc as never);
      const { config } = await streams.info(`KV_${bucket}`);
      await streams.delete(`KV_${bucket}`);
      await streams.add(config);
      await writer.save("new", {});
      await until("that it missed some", () => witness.seen.some(({ type }) => type === "missed"));
      await writer.save("newer", {});
      await witness.until("the newer one", () => witness.of(reader.handleOf("newer")).length === 1);
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
