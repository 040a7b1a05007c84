import { afterAll, describe, expect, it } from "vitest";
import { heldBytes } from "../../support/memory.js";
import { Stores } from "../../support/stores.js";
import { connectCurrent } from "../../support/variants.js";

/** For a machine that is busy with other things; the figures themselves are printed. */
const LONG = 20_000;

describe("many listeners to the ends of sessions", { timeout: 300_000 }, () => {
  const stores = new Stores({ connect: connectCurrent });
  afterAll(() => stores.close());

  const ended = (store: Awaited<ReturnType<typeof stores.open>>, id: string) =>
    new Promise((resolve) => {
      store.onEnded(store.handleOf(id), resolve);
    });

  it("10 000 listeners are called soon after another process has ended their session", async () => {
    const [here, there] = await stores.openTwo();
    await ended(here, "absent");
    const times: number[] = [];
    for (let round = 0; round < 5; round++) {
      await there.save(`id-${round}`, {});
      const all = Promise.all(Array.from({ length: 10_000 }, () => ended(here, `id-${round}`)));
      // Looked up as soon as the next one is: those before it were.
      await ended(here, `absent-${round}`);
      const start = performance.now();
      await there.destroy(`id-${round}`);
      await all;
      times.push(performance.now() - start);
    }
    const median = times.sort((a, b) => a - b)[2] as number;
    console.log(`destroy to the last of 10 000 listeners: ${median.toFixed(1)} ms`);
    expect(median).toBeLessThan(LONG);
  });

  it("100 000 watches take less than 1 kB each, and leave nothing behind", async () => {
    const [here] = await stores.openTwo();
    const handles = Array.from({ length: 100_000 }, (_, n) => here.handleOf(`socket ${n}`));
    await ended(here, "absent");
    const before = await heldBytes();
    const stops = handles.map((handle) => here.onEnded(handle, () => {}));
    // Their sessions are looked up in turns of the event loop: none is over yet.
    const held = (await heldBytes()) - before;
    console.log(`${(held / stops.length).toFixed(0)} bytes for each watch`);
    expect(held / stops.length).toBeLessThan(1000);
    for (const stop of stops.splice(0)) stop();
    expect((await heldBytes()) - before).toBeLessThan(held / 10);
    await here.close();
  });
});
