import { connect } from "@nats-io/transport-node";
import { handleOf } from "nats-session-store";
import { sessionKeyStart } from "../../../packages/core/dist/key.js";
import { resolveOptions } from "../../../packages/core/dist/options.js";
import { encodeMetadata } from "../../../packages/core/dist/record.js";
import { connectBucket } from "../../../packages/core/dist/wire/index.js";
import { idOf, sessionData } from "./sessions.mjs";

const LIFE = 86_400_000;

/**
 * What a store without revisions would do: write the session, whatever is there. The same mux, format and
 * headers as in `save`, but for the expected revision.
 */
export async function open({ url, bucket, sessions }) {
  const nc = await connect({ servers: url });
  const { entries } = await connectBucket(nc, resolveOptions({ bucket }));
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
          headers: encodeMetadata({ createdAt: now, expiresAt: now + LIFE, write: "update" }),
          expected: undefined,
          ttlSeconds: LIFE / 1000,
        },
        performance.now() + 2000,
      );
      if (typeof answer !== "number") throw new Error(`The answer to a write was ${answer}`);
    },
    close: () => nc.close(),
  };
}
