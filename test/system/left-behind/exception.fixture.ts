import { setTimeout as sleep } from "node:timers/promises";
import { it } from "vitest";

it("passes, but for what it leaves behind", async () => {
  setTimeout(() => {
    throw new Error("left behind");
  });
  await sleep(50);
});
