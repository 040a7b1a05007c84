import { startClient } from "./harness/client-process.mjs";
import { atLeast, rounded } from "./harness/report.mjs";
import { medianOfRounds } from "./harness/rounds.mjs";
import { BASE, PLAIN, startVariants } from "./variants.mjs";

const WIDTHS = [1, 16, 64];
const EVERY_TOUCH = `${PLAIN}, touchAfter: 0`;
const CORE = "nats-session-store";
const KV = "kv.get of @nats-io/kv";

/** Issue D: the stores' operations without HTTP, as express-session calls them, and a load beside `kv.get`. */
export async function measure(servers, { rounds, operations, sessions, profile }) {
  const variants = await startVariants(
    servers,
    ({ kind, framework }) => kind !== "none" && framework !== "koa",
  );
  const nats = variants.find(({ name }) => name === PLAIN);
  const start = async (name, pid, file, settings) => ({
    ...(await startClient(name, { file, settings: { ...settings, sessions }, profile })),
    pid,
  });
  const startStore = ({ name, settings, pid }) =>
    start(name, pid, "store-operations.mjs", { store: settings });

  const stores = [];
  for (const variant of variants) stores.push(await startStore(variant));
  const options = { touchAfter: 0, bucket: "every-touch" };
  const everyTouch = await startStore({
    ...nats,
    name: EVERY_TOUCH,
    settings: { ...nats.settings, options },
  });
  const { url } = nats.settings;
  const plain = [
    await start(CORE, nats.pid, "store-load.mjs", { url, bucket: "core" }),
    await start(KV, nats.pid, "kv-get.mjs", { url, bucket: "kv" }),
  ];
  const groups = { load: [...stores, ...plain], save: stores, touch: [...stores, everyTouch] };

  const results = {};
  for (const [operation, clients] of Object.entries(groups)) {
    for (const client of clients) if (!plain.includes(client)) await client.call("use", operation);
    for (const width of WIDTHS) {
      const medians = await medianOfRounds(clients, { rounds, operations, width });
      for (const [name, result] of Object.entries(medians)) {
        const base = medians[BASE];
        results[`${operation}, ${width} in flight: ${name}`] = { ...result, base };
      }
    }
  }
  await Promise.all([...stores, everyTouch, ...plain].map((client) => client.stop()));
  const rate = (name) => results[`load, 64 in flight: ${name}`].rate;
  return {
    medians: Object.fromEntries(
      Object.entries(results).map(([name, { rate, cpu, serverCpu, base }]) => [
        name,
        {
          "op/s": Math.round(rate),
          [`/ ${BASE}`]: base ? rounded(rate / base.rate) : "",
          "client CPU µs": rounded(cpu),
          "server CPU µs": rounded(serverCpu),
        },
      ]),
    ),
    figures: [atLeast(2.2, "raw load, 64 in flight: op/s / kv.get", rate(CORE) / rate(KV))],
    notes: [`${CORE} is the core's \`load\`; the others are called through express-session's store API`],
  };
}
