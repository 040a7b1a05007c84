import type { SessionStore } from "nats-session-store";
import { describe, expect, it } from "vitest";
import { warm } from "../../support/cached.js";
import type { Data } from "../../support/stores.js";
import { TwoProcesses } from "../../support/two-processes.js";
import { clients } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { Witness } from "../../support/witness.js";

describe.each(Object.entries(clients))("over %s, a bucket", { timeout: 180_000 }, (_name, connect) => {
  /**
   * A reader holds a session in its cache that the bucket loses with its last writes. Another process that remembers
   * nothing then ends the session under a number that the reader has seen before.
   */
  const restored = async (isReaderAway: boolean) => {
    const site = await TwoProcesses.start(connect);
    const [before, reader] = [await site.writer(), await site.reader({ cache: { maxStale: 1000 } })];
    await before.save("other", { n: 0 });
    let { record } = await before.save("id", { n: 0 });
    const restore = await site.backUp();
    for (let n = 1; n <= 3; n++) {
      ({ record } = await before.save("id", { n }, { record: record ?? undefined }));
    }
    const witness = await Witness.of(reader);
    const ended: string[] = [];
    reader.onEnded(reader.handleOf("id"), ({ reason }) => ended.push(reason));
    await warm(reader, "id");
    expect((await reader.load("id"))?.data).toEqual({ n: 3 });
    if (isReaderAway) site.network.cut();
    await restore();
    const after = await site.writer();
    return { site, reader, after, witness, ended, old: record?.revision as number };
  };

  const lift = async (store: SessionStore<Data>, beyond: number) => {
    for (let n = 0; ; n++) {
      const { record } = await store.save(`lift-${n}`, { n });
      if ((record?.revision ?? 0) > beyond) return;
    }
  };

  it.each([
    [false, "while the reader is connected"],
    [true, "before the reader is connected again"],
  ])(
    "that lost its last writes (%j) and passed its old end %s is `missed`, and no cache serves an ended session",
    async (isReaderAway) => {
      const { site, reader, after, witness, ended, old } = await restored(isReaderAway);
      expect((await after.load("id"))?.data).toEqual({ n: 0 });
      await after.destroy("id");
      await lift(after, old);
      site.network.mend();
      await until("that changes were missed", () => witness.seen.some(({ type }) => type === "missed"));
      await until("the end of the session", async () => (await reader.load("id").catch(() => 1)) === null);
      await until("that the listener was called", () => ended.length > 0);
      expect(ended).toEqual(["destroyed"]);
      const { record } = await after.save("last", {});
      await witness.untilRevision(record?.revision as number);
      await warm(reader, "last");
      expect(await reader.load("id")).toBeNull();
      expect((await reader.load("other"))?.data).toEqual({ n: 0 });
      await witness.stop();
    },
  );

  it("that lost its last writes and stays shorter is `missed`, and what the cache held is read again", async () => {
    const { reader, witness } = await restored(false);
    await until("that changes were missed", () => witness.seen.some(({ type }) => type === "missed"));
    await until(
      "the restored session",
      async () => (await reader.load("id").catch(() => null))?.data.n === 0,
    );
    await witness.stop();
  });

  it("that was not restored but only restarted is not `missed`", async () => {
    const site = await TwoProcesses.start(connect);
    const [writer, reader] = [await site.writer(), await site.reader({ cache: true })];
    const witness = await Witness.of(reader);
    let { record } = await writer.save("id", { n: 0 });
    for (let n = 1; n <= 3; n++) {
      await site.server.kill();
      await site.server.restart();
      ({ record } = await writer.save("id", { n }, { record: record ?? undefined }));
      await witness.untilRevision(record?.revision as number);
    }
    expect(witness.seen).toHaveLength(witness.changes.length);
    await witness.stop();
  });
});
