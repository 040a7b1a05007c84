import { startClient } from "./harness/client-process.mjs";
import { told } from "./harness/report.mjs";
import { scenarios } from "./races/scenarios.mjs";
import { BASE, PLAIN, POSTGRES, startVariants } from "./variants.mjs";

const SUMMING = `${PLAIN} with \`resolve\``;

/** What the stores lose or revive when requests of one browser overlap. Nothing here depends on chance. */
export async function measure(servers) {
  const variants = await startVariants(servers, ({ name }) => [BASE, POSTGRES, PLAIN].includes(name));
  const nats = variants.find(({ name }) => name === PLAIN);
  variants.push({ ...nats, name: SUMMING, summing: true });
  const play = async ({ name, settings, summing = false }) => {
    const client = await startClient(name, { file: "races.mjs", settings: { store: settings, summing } });
    const verdicts = await client.call("play");
    await client.stop();
    return [name, verdicts];
  };
  const verdicts = Object.fromEntries(await Promise.all(variants.map(play)));
  const names = Object.keys(verdicts);
  const overlapping = scenarios.filter(({ overlaps }) => overlaps);
  return {
    medians: Object.fromEntries(
      scenarios.map((scenario) => [
        scenario.name,
        Object.fromEntries(names.map((name) => [name, verdicts[name][scenario.name] ?? "right"])),
      ]),
    ),
    figures: names.map((name) =>
      told(
        `of ${overlapping.length} overlaps went wrong with ${name}`,
        overlapping.filter((scenario) => verdicts[name][scenario.name] !== null).length,
      ),
    ),
    notes: ["`resolve` adds up what both sides have counted, as in the README's example"],
  };
}
