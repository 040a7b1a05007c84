import { startNatsServer } from "nats-dev-server";
import { describe, expect, it, onTestFinished } from "vitest";
import { openPatient } from "../../support/patient.js";
import { type Connection, clients, newBucket } from "../../support/variants.js";

/** Longer than a store waits for a leader that is behind, in ms. */
const LONG = 700;

/** A connection over which answers about a stream can be those of a leader that is behind. */
function withElection(nc: Connection) {
  let earlier: Uint8Array | undefined;
  const publish: Connection["publish"] = (subject, payload, options) => {
    const { reply } = options ?? {};
    const answer = earlier;
    if (!answer || !reply || !subject.startsWith("$JS.API.STREAM.INFO."))
      nc.publish(subject, payload, options);
    else {
      setTimeout(() => {
        earlier = undefined;
        nc.publish(reply, answer);
      }, LONG);
    }
  };
  const connection = new Proxy(nc, {
    get(target, name) {
      if (name === "publish") return publish;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  /** The next answer comes late, and is one that the leader gave before. */
  const elect = (answer: Uint8Array) => {
    earlier = answer;
  };
  return { connection, elect };
}

describe.each(Object.entries(clients))("after an election that took long, over %s", (_name, connect) => {
  it("a store counts what it has saved, although the new leader has not applied it at its first answer", async () => {
    const server = await startNatsServer();
    onTestFinished(() => server.stop());
    const nc = await connect({ servers: server.url });
    onTestFinished(() => nc.close());
    const { connection, elect } = withElection(nc);
    const bucket = newBucket();
    const store = await openPatient(connection, { bucket });
    await store.save("one", {});
    const earlier = await nc.request(`$JS.API.STREAM.INFO.KV_${bucket}`, new Uint8Array(), {
      timeout: 30_000,
    });
    await store.save("two", {});
    elect(earlier.data);
    expect(await store.count()).toBe(2);
    await store.close();
  });
});
