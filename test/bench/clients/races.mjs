import { scenarios } from "../races/scenarios.mjs";
import { Site } from "../races/site.mjs";
import { openStore } from "../stores.mjs";

const sum = (_key, { base, ours, theirs }) => ours + theirs - base;

/** Plays the scenarios with a store in a process of its own. */
export async function open({ store: settings, summing }) {
  const options = summing ? { ...settings.options, resolve: sum } : settings.options;
  const { store, close } = await openStore({ ...settings, options });
  return {
    /** For each scenario what went wrong, or `null`. */
    play: async () => {
      const verdicts = {};
      for (const { name, maxAge, run } of scenarios) {
        const site = await Site.open(store, maxAge);
        try {
          verdicts[name] = (await run(site, store)) ?? null;
        } finally {
          site.close();
        }
      }
      return verdicts;
    },
    close,
  };
}
