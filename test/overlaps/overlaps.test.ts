import type { SessionStoreOptions } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { frameworks } from "../adapters/support/frameworks.js";
import { type Connection, newBucket, type Variant, variants } from "../support/variants.js";
import { until } from "../support/wait.js";
import { adapterSite } from "./adapter-site.js";
import { openCoreSite } from "./core-site.js";
import { type Scenario, scenarios } from "./scenarios.mjs";
import type { OpenSite } from "./site.js";

const sites: Record<string, OpenSite> = { core: openCoreSite };
for (const framework of frameworks) sites[framework.name] = adapterSite(framework);

for (const [n, variant] of variants().entries()) {
  for (const [name, open] of Object.entries(sites)) {
    describe(`requests to two processes of ${name} over ${variant.name}`, () => play(name, open, variant, 2));
    if (n > 0) continue;
    describe(`requests to one process of ${name} over ${variant.name}`, () => play(name, open, variant, 1));
    describe(`requests to two processes of ${name} on three buckets over ${variant.name}`, () =>
      play(name, open, variant, 2, { shards: 3 }));
  }
}

function play(
  where: string,
  open: OpenSite,
  variant: Variant,
  processes: number,
  more: SessionStoreOptions = {},
): void {
  let connections: Connection[];
  beforeAll(async () => {
    connections = await Promise.all(Array.from({ length: processes }, () => variant.connect()));
  });
  afterAll(() => Promise.all(connections.map((nc) => nc.close())));

  const played = scenarios.filter(({ only }) => !only || only.includes(where));
  for (const scenario of played) test(`when ${scenario.name}, ${scenario.holds}`, () => check(scenario));

  async function check(scenario: Scenario): Promise<void> {
    const options = { bucket: newBucket(), touchAfter: 0, ...more, ...scenario.options };
    const site = await open(connections, options, scenario.settings ?? {});
    const browser = site.browser();
    const { data, left } = scenario;
    if (data !== null) {
      await browser.send(({ session }) => {
        Object.assign(session, { user: "ada" }, data);
      });
    }
    const old = browser.copy();
    const id = site.idOf(old);
    const start = Date.now();
    const seen = (await scenario.play(browser)) ?? browser;
    const { failures, gone } = scenario;
    // express-session answers before it stores: its error may come later.
    await until("the errors", () => site.failures.length >= failures.length);
    expect(site.failures).toMatchObject(failures);
    expect(await site.look(seen)).toEqual(left === null ? {} : { user: "ada", ...left });
    if (typeof gone === "number") expect(site.gone).toHaveLength(gone);
    else if (gone) expect(site.gone).toEqual(gone);
    if (scenario.ended) {
      expect(await site.expiryOf(id as string)).toBeUndefined();
      expect(await site.look(old)).toEqual({});
    }
    if (scenario.count !== undefined) expect(await site.count()).toBe(scenario.count);
    if (scenario.ttl !== undefined) {
      const expiresAt = await site.expiryOf(site.idOf(seen) as string);
      expect(expiresAt).toBeGreaterThanOrEqual(start + scenario.ttl);
      expect(expiresAt).toBeLessThanOrEqual(Date.now() + scenario.ttl);
    }
    await site.close();
  }
}
