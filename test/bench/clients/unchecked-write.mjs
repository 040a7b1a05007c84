import { connect } from "@nats-io/transport-node";
import { handleOf } from "nats-session-store";
import { sessionKeyStart } from "../../../packages/core/dist/format/keys.js";
import { encodeSession } from "../../../packages/core/dist/format/metadata.js";
import { Buckets } from "../../../packages/core/dist/nats/buckets.js";
import { resolveOptions } from "../../../packages/core/dist/resolve-options.js";
import { idOf, sessionData } from "./sessions.mjs";

const LIFE = 86_400_000;

/** The store checks each write; this takes the check out of what it sends. */
const CHECK = /Nats-Expected-Last-Subject-Sequence: \d+\r\n/;

/**
 * What a store without revisions would do: write the session, whatever is there. The same mux, format and
 * headers as in `save`, but for the expected revision, whose removal costs the client a little.
 */
export async function open({ url, bucket, sessions }) {
  const nc = await connect({ servers: url });
  const opened = new Buckets(unchecked(nc), resolveOptions({ bucket }));
  await opened.open(performance.now() + 10_000);
  const { entries } = opened.at(0);
  const keyStart = sessionKeyStart();
  const ids = Array.from({ length: sessions }, (_, index) => idOf(index));
  const data = ids.map((_, index) => sessionData(index));
  return {
    operation: async (index) => {
      const i = index % sessions;
      data[i].visits++;
      const now = Date.now();
      const answer = await entries.write(
        {
          key: keyStart + handleOf(ids[i]),
          value: Buffer.from(JSON.stringify(data[i])),
          headers: encodeSession({ createdAt: now, expiresAt: now + LIFE, write: "update" }),
          expected: 0,
          ttlSeconds: LIFE / 1000,
        },
        performance.now() + 2000,
      );
      if (typeof answer !== "number") throw new Error(`The answer to a write was ${answer}`);
    },
    close: () => nc.close(),
  };
}

function unchecked(nc) {
  const publish = (subject, payload, { reply, headers }) => {
    if (!headers) return nc.publish(subject, payload, { reply });
    const encoded = Buffer.from(
      Buffer.from(headers.encode()).toString("latin1").replace(CHECK, ""),
      "latin1",
    );
    return nc.publish(subject, payload, {
      reply,
      headers: Object.create(headers, { encode: { value: () => encoded } }),
    });
  };
  return new Proxy(nc, {
    get(target, name) {
      if (name === "publish") return publish;
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}
