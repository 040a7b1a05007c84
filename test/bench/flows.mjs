import { flows, play } from "./flows/flows.mjs";
import { natsParty, redisParty } from "./flows/parties.mjs";

const user = ({ user }) => user?.id;

/** Options of the stores of this project that are measured; the last one knows whose session it is. */
export const natsVariants = {
  "": {},
  // However slow the machine is, no proof of the cache grows too old meanwhile.
  ", cache": { cache: { maxStale: 600_000 } },
  ", `user` and a limit of 5": { user, maxSessionsPerUser: 5 },
};

/** How many messages each thing that a browser does makes each store send, and wait for. Nothing depends on chance. */
export async function measure(servers) {
  const nats = await servers.start("nats");
  const redis = await servers.start("redis");
  const medians = {};
  for (const framework of ["express", "koa"]) {
    const name = framework === "koa" ? "koa-session-nats" : "connect-nats";
    const columns = Object.fromEntries(
      Object.entries(natsVariants).map(([suffix, options]) => [
        name + suffix,
        (isDue) => natsParty(nats.url, framework, { ...options, ...(isDue ? { touchAfter: 0 } : {}) }),
      ]),
    );
    if (redis)
      columns[framework === "koa" ? "koa-redis" : "connect-redis"] = () => redisParty(redis.url, framework);
    for (const [column, start] of Object.entries(columns)) {
      for (const [flow, messages] of Object.entries(await messagesOf(framework, start))) {
        const row = framework === "koa" ? `Koa: ${flow}` : flow;
        medians[row] = { ...medians[row], [column]: messages };
      }
    }
  }
  return {
    medians,
    figures: [],
    notes: [
      "messages to the server, each with its answer; `user` and a limit: a user with no other session",
      "beside these, a process asks about its bucket at most twice a second",
    ],
  };
}

/** Until the near cache answers: what was stored before it knew the change feed is confirmed once by the leader. */
async function untilCached({ url, count }, isDue) {
  const flow = flows.find(({ name }) => name === "a page that reads");
  const touches = isDue ? 1 : 0;
  const end = performance.now() + 10_000;
  while ((await play(url, flow, count)) > touches) {
    if (performance.now() > end) throw new Error("The near cache does not answer");
  }
}

/**
 * @param {"express" | "koa"} framework
 * @param {(isDue: boolean) => Promise<import("./flows/parties.mjs").Party>} start
 * @returns {Promise<Record<string, number>>} by the flow's name
 */
export async function messagesOf(framework, start) {
  const result = {};
  for (const isDue of [false, true]) {
    const party = await start(isDue);
    if (party.isCached) await untilCached(party, isDue);
    for (const flow of flows) {
      if ((flow.isDue ?? false) !== isDue || (flow.framework ?? framework) !== framework) continue;
      result[flow.name] = await play(party.url, flow, party.count);
    }
    await party.close();
  }
  return Object.fromEntries(flows.flatMap(({ name }) => (name in result ? [[name, result[name]]] : [])));
}
