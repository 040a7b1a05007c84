import { startClient } from "./harness/client-process.mjs";
import { atMost, rounded, told } from "./harness/report.mjs";
import { median } from "./harness/rounds.mjs";
import { BASE, CACHED, PLAIN, startVariants } from "./variants.mjs";

const WIDTH = 16;

/** Before it counts, so that the code is optimised. */
const WARM_UP = 20_000;

/** So large that what a round allocates fits into it without a collection. */
const NEW_SPACE_MB = 256;

/** What a load and a save allocate, through the interface of express-session: garbage takes its time when it is collected. */
export async function measure(servers, { rounds, operations, sessions }) {
  const variants = await startVariants(servers, ({ name }) => [BASE, PLAIN, CACHED].includes(name));
  const flags = [`--min-semi-space-size=${NEW_SPACE_MB}`, `--max-semi-space-size=${NEW_SPACE_MB}`];
  const medians = {};
  for (const { name, settings } of variants) {
    const client = await startClient(name, {
      file: "store-operations.mjs",
      settings: { store: settings, sessions },
      flags,
    });
    for (const operation of ["load", "save"]) {
      await client.call("use", operation);
      await client.call("measure", { operations: WARM_UP, width: WIDTH });
      const bytes = [];
      while (bytes.length < rounds) {
        const result = await client.call("allocate", { operations, width: WIDTH });
        if (result.collections === 0) bytes.push(result.bytes);
      }
      medians[name] = { ...medians[name], [`kB for each ${operation}`]: rounded(median(bytes) / 1024) };
    }
    await client.stop();
  }
  const figures = ["load", "save"].flatMap((operation) => [
    atMost(11, `kB that a ${operation} allocates`, medians[PLAIN][`kB for each ${operation}`]),
    ...(BASE in medians
      ? [told(`kB that a ${operation} of ${BASE} allocates`, medians[BASE][`kB for each ${operation}`])]
      : []),
  ]);
  return { medians, figures };
}
