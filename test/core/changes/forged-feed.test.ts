import { headers } from "@nats-io/nats-core";
import { describe, expect, it, type TestContext } from "vitest";
import { warm } from "../../support/cached.js";
import { TwoProcesses } from "../../support/two-processes.js";
import { type Connection, clients } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";

const config = `authorization { users: [
  { user: app, password: x },
  { user: eve, password: x, permissions: { publish: { deny: ["$KV.>", "$JS.>"] }, subscribe: { deny: ["$KV.>"] } } }
] }`;

// Most of the time passes until the feed, after a silence, asks the bucket: so they wait together.
describe.each(Object.entries(clients))(
  "over %s, one who may publish on the feed's subject",
  { concurrent: true },
  (_name, connect) => {
    const start = async (defer: TestContext["onTestFinished"]) => {
      const as = (user: string) => (options: { servers: string }) =>
        connect({ ...options, user, pass: "x" } as { servers: string });
      const site = await TwoProcesses.start(as("app"), { config }, defer);
      const [writer, reader] = [await site.writer(), await site.reader({ cache: { maxStale: 1000 } })];
      const eve = await as("eve")({ servers: site.server.url });
      const witness = await Witness.of(reader);
      const forge = (key: string, sequence: number | string, list: Record<string, string> = {}) =>
        publish(eve, site.bucket, key, { "Nats-Sequence": String(sequence), ...list });
      const end = async () => {
        await witness.stop();
        await eve.close();
      };
      return { writer, reader, witness, forge, end, site };
    };

    const saved = async (store: Awaited<ReturnType<typeof start>>["writer"], id: string, n = 0) => {
      const { record } = await store.save(id, { n });
      return record?.revision as number;
    };

    const untilMissed = (witness: Witness) =>
      until("that changes were missed", () => witness.seen.some(({ type }) => type === "missed"));

    it("suppresses no end of a session: it is `missed`, emitted all the same, and no cache serves the session", async ({
      onTestFinished: defer,
    }) => {
      const { writer, reader, witness, forge, end } = await start(defer);
      const revision = await saved(writer, "id");
      const ended: string[] = [];
      reader.onEnded(reader.handleOf("id"), ({ reason }) => ended.push(reason));
      await warm(reader, "id");
      await forge("other", revision + 1);
      await writer.destroy("id");
      await until("the end in the cache", async () => (await reader.load("id")) === null);
      await untilMissed(witness);
      await until("the end in the feed", () => witness.of(reader.handleOf("id")).includes("destroyed"));
      expect(ended).toEqual(["destroyed"]);
      await end();
    });

    it("keeps no session in a cache with messages about later numbers", async ({ onTestFinished: defer }) => {
      const { writer, reader, witness, forge, end } = await start(defer);
      const revision = await saved(writer, "id");
      await warm(reader, "id");
      for (let n = 1; n < 20; n += 2) await forge("other", revision + n);
      await forge("other", Number.MAX_SAFE_INTEGER);
      await writer.destroy("id");
      await until("the end in the cache", async () => (await reader.load("id")) === null);
      const last = await saved(writer, "last");
      await until("the last write", () => witness.changes.some((change) => change.revision === last));
      await warm(reader, "last");
      expect(await reader.load("id")).toBeNull();
      await end();
    });

    it("invents no end of a session that stays believed: it is `missed`, and the session is served on", async ({
      onTestFinished: defer,
    }) => {
      const { writer, reader, witness, forge, end } = await start(defer);
      const revision = await saved(writer, "id", 1);
      await warm(reader, "id");
      const handle = reader.handleOf("id");
      await forge(`s.${handle}`, revision + 1, { "KV-Operation": "DEL", "Session-Write": "destroy" });
      await until("the invented end", () => witness.of(handle).includes("destroyed"));
      expect((await reader.load("id"))?.data).toEqual({ n: 1 });
      await untilMissed(witness);
      await warm(reader, "id");
      expect((await reader.load("id"))?.data).toEqual({ n: 1 });
      await end();
    });

    it("disturbs nothing with numbers that are none, nor with repeated messages", async ({
      onTestFinished: defer,
    }) => {
      const { writer, reader, witness, forge, end } = await start(defer);
      for (const number of ["NaN", "9007199254740993", "1e308", "-1", "0", "1.5", "", "x"]) {
        await forge(`s.${reader.handleOf("id")}`, number);
      }
      const revision = await saved(writer, "id");
      await witness.untilRevision(revision);
      expect(witness.seen).toMatchObject([{ type: "created", handle: reader.handleOf("id") }]);
      await end();
    });
  },
);

async function publish(nc: Connection, bucket: string, key: string, list: Record<string, string>) {
  const sent = headers();
  const subject = `$KV.${bucket}.${key}`;
  const all = { "Nats-Subject": subject, "Nats-Stream": `KV_${bucket}`, ...list };
  for (const [name, value] of Object.entries(all)) sent.append(name, value);
  nc.publish(`session-changes.${bucket}.${key}`, new Uint8Array(), { headers: sent as never });
  await nc.flush();
}
