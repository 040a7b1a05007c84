import { atMost, rounded, told } from "./harness/report.mjs";
import { median } from "./harness/rounds.mjs";
import { placeAndReturn, startNats, startRedis, timeStats } from "./scale/parties.mjs";

const FEW = 1000;
const SIZES = [10_000, 100_000, 1_000_000];

/** More are not advised in one stream: beyond that, sessions belong into several buckets. */
const MOST_OF_ONE_BUCKET = 1_000_000;

/** Operations that are timed, and how many of them in each round: 1 = as many as the settings say. */
const timed = { load: 1, save: 1, count: 0.1, signIn: 0.25, listByUser: 0.25 };

/** How the operations are called of which a figure is told. */
const figured = {
  load: "load",
  save: "save",
  signIn: "a sign-in",
  listByUser: "listByUser",
  count: "count()",
};

/** What changes when the sessions on one node become more and more, in one bucket beside Redis and in several. */
export async function measure(servers, settings) {
  const { sessions, shards } = settings;
  const one = await grow(servers, "one bucket", {
    ...settings,
    shards: 1,
    sessions: Math.min(sessions, MOST_OF_ONE_BUCKET),
    withRedis: true,
    limits: { load: 1.3 },
  });
  const limits = { load: 1.5, save: 1.5 };
  const several = await grow(servers, `${shards} buckets`, { ...settings, limits });
  return {
    medians: { ...one.medians, ...several.medians },
    figures: [...one.figures, ...several.figures, ...memoryFigures(`${shards} buckets`, several.memory)],
    notes: [
      "latencies are medians of operations one after the other, of sessions from everywhere; in each round, on a server of its own, beside those of 1 000 sessions in as many buckets",
      "stats: one run of `nats-sessions stats`, with the start of its process",
      "back: from the start of the killed server until a session is loaded and all are counted; Redis with its append-only file",
    ],
  };
}

/** Fills a server step by step, and looks at it after each. */
async function grow(servers, title, settings) {
  const { sessions, shards, rounds, operations, profile, limits, withRedis = false } = settings;
  const few = await startNats(servers, "few", { shards, profile });
  const many = await startNats(servers, "many", { shards, profile });
  const redis = withRedis ? await startRedis(servers) : undefined;
  await few.client.call("fillTo", FEW);

  const medians = {};
  const memory = {};
  let last;
  for (const size of SIZES.filter((size) => size < sessions).concat(sessions)) {
    console.log(`${title}: ${named(size)}`);
    const filled = await many.client.call("fillTo", size);
    await redis?.client.call("fillTo", size);
    const times = await timeBoth({ few, many }, { rounds, operations });
    const place = await placeAndReturn(many);
    medians[`${title}: ${named(FEW)}`] ??= columnsOf(times.few);
    medians[`${title}: ${named(size)}`] = {
      ...columnsOf(times.many),
      "saved/s": Math.round(filled),
      ...place,
      ...(redis && (await placeAndReturn(redis))),
    };
    memory[size] = (place["nats-server MB"] * 2 ** 20) / size;
    last = { size: named(size), times };
  }
  await Promise.all([few, many, redis].map((party) => party?.stop()));

  const figures = Object.entries(figured).map(([operation, what]) => {
    const name = `${title}: latency of ${what} at ${last.size} / at ${named(FEW)}`;
    const ratio = last.times.many[operation] / last.times.few[operation];
    return operation in limits ? atMost(limits[operation], name, ratio) : told(name, ratio);
  });
  return { medians, memory, figures };
}

/** What a session takes, and whether that stays as it is beyond a million. */
function memoryFigures(title, memory) {
  const sizes = Object.keys(memory).map(Number);
  const most = Math.max(...sizes);
  const figures = sizes.map((size) =>
    told(`${title}: bytes of memory a session at ${named(size)}`, memory[size]),
  );
  if (most <= MOST_OF_ONE_BUCKET) return figures;
  const name = `${title}: memory a session at ${named(most)} / at ${named(MOST_OF_ONE_BUCKET)}`;
  return [...figures, atMost(1, name, memory[most] / memory[MOST_OF_ONE_BUCKET])];
}

/** Medians of the operations among few and among many sessions, in turn: in ms, those of `stats` in s. */
async function timeBoth(parties, { rounds, operations }) {
  const medians = { few: {}, many: {} };
  for (const [operation, share] of Object.entries(timed)) {
    const times = { few: [], many: [] };
    for (let round = 0; round <= rounds; round++) {
      for (const [name, { client }] of Object.entries(parties)) {
        const time = await client.call("time", operation, Math.ceil(operations * share));
        if (round > 0) times[name].push(time);
      }
    }
    for (const name of Object.keys(parties)) medians[name][operation] = median(times[name]);
  }
  for (const [name, party] of Object.entries(parties)) medians[name].stats = await timeStats(party);
  return medians;
}

function columnsOf({ stats, ...times }) {
  const inMs = Object.entries(times).map(([operation, ms]) => [`${operation} ms`, rounded(ms)]);
  return { ...Object.fromEntries(inMs), "stats s": rounded(stats) };
}

function named(size) {
  return `${size.toLocaleString("en").replaceAll(",", " ")} sessions`;
}
