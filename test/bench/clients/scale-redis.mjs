import { createClient } from "redis";
import { inFlight } from "../harness/in-flight.mjs";
import { idOf, sessionData } from "./sessions.mjs";

const DAY = 86_400;

/** The same sessions in Redis, under the keys and with the life that connect-redis gives them. */
export async function open({ url }) {
  // The server is killed on purpose; the client connects again by itself.
  const client = await createClient({ url, socket: { reconnectStrategy: 20 } })
    .on("error", () => {})
    .connect();
  let sessions = 0;
  return {
    fillTo: async (size) => {
      const first = sessions;
      await inFlight(256, size - first, (index) => {
        const value = JSON.stringify(sessionData(first + index));
        return client.set(`sess:${idOf(first + index)}`, value, { expiration: { type: "EX", value: DAY } });
      });
      sessions = size;
    },
    isBack: async () => {
      const count = await client.dbSize();
      if (count < sessions) throw new Error(`Expected ${sessions} sessions, got ${count}`);
    },
    close: () => client.destroy(),
  };
}
