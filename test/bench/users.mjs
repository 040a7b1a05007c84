import { startClient } from "./harness/client-process.mjs";
import { printProfile } from "./harness/profile.mjs";
import { atMost, rounded } from "./harness/report.mjs";
import { median, medianOfRounds } from "./harness/rounds.mjs";

const WIDTH = 16;
const SAVED = 1000;
const OWN = 20;
const LISTS = 200;
const EVENTS = 1000;

/** Issue C: what it costs to know who is signed in, and to hear about it. */
export async function measure(servers, { sessions, rounds, operations, profile }) {
  const { url } = await servers.start("nats");
  const settings = { url, bucket: "users", sessions, own: OWN };
  const start = (name, file, more) =>
    startClient(name, { file, settings: { ...settings, ...more }, profile });
  const reader = await start("reader", "users.mjs");
  const cached = await start("reader with a cache", "users.mjs", { cache: true });
  const writer = await start("writer", "users.mjs");
  await writer.call("fill");
  const times = { list: [], load: [], cachedList: [] };
  for (let round = 0; round <= rounds; round++) {
    const { list, load } = await reader.call("list", LISTS);
    await cached.call("loadOwn");
    const { list: cachedList } = await cached.call("list", LISTS);
    if (round > 0) {
      times.list.push(median(list));
      times.load.push(median(load));
      times.cachedList.push(median(cachedList));
    }
  }
  await cached.stop();
  const [list, load, cachedList] = [median(times.list), median(times.load), median(times.cachedList)];

  await reader.call("follow");
  const saved = await writer.call("save", EVENTS);
  const told = new Map(await reader.call("told", saved.at(-1)[0]));
  const delays = saved.map(([revision, at]) => told.get(revision) - at);
  await Promise.all([reader.stop(), writer.stop()]);

  const savers = [
    await start("save with `user` and feed", "users-save.mjs", {
      bucket: "with",
      sessions: SAVED,
      withUsers: true,
    }),
    await start("save without", "users-save.mjs", { bucket: "without", sessions: SAVED, withUsers: false }),
  ];
  const results = await medianOfRounds(savers, { rounds, operations, width: WIDTH });
  await Promise.all(savers.map((client) => client.stop()));
  for (const { name, profile } of [reader, ...savers]) if (profile) await printProfile(name, profile);

  const [withUsers, without] = savers.map(({ name }) => results[name]);
  const columns = ({ cpu, rate }) => ({ "CPU µs/op": rounded(cpu), "op/s": Math.round(rate) });
  return {
    medians: {
      [`listByUser, ${OWN} sessions among ${sessions} of others`]: { "ms/call": rounded(list) },
      "the same, sessions in the cache": { "ms/call": rounded(cachedList) },
      load: { "ms/call": rounded(load) },
      "a save until its event in another process": { "ms/call": rounded(median(delays)) },
      ...Object.fromEntries(savers.map(({ name }) => [name, columns(results[name])])),
    },
    figures: [
      atMost(4, `listByUser of ${OWN} sessions among ${sessions} / load`, list / load),
      atMost(2, `listByUser of ${OWN} sessions in the cache / load without it`, cachedList / load),
      atMost(5, "ms from a save to its event in another process", median(delays)),
      atMost(1.1, "CPU of save with `user` and feed / without", withUsers.cpu / without.cpu),
      atMost(1.1, "time of save with `user` and feed / without", without.rate / withUsers.rate),
    ],
  };
}
