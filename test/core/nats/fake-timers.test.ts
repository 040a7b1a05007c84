import { fileURLToPath } from "node:url";
import { expect, inject, it } from "vitest";
import { runNode } from "../../support/run-program.js";

const program = fileURLToPath(new URL("programs/fake-timers.mjs", import.meta.url));

const TIMERS = [
  ...["setTimeout", "clearTimeout", "setInterval", "clearInterval", "setImmediate", "clearImmediate"],
  ...["Date", "performance"],
];

/** What they take over unless they are told otherwise; all three have Sinon's clock. */
const runners = [
  ["Vitest", TIMERS],
  ["Jest", [...TIMERS, "hrtime", "nextTick", "queueMicrotask"]],
  ["Sinon", []],
] as const;

const each = runners.flatMap(([runner, names]) =>
  ["2", "3"].map((generation) => [runner, generation, names.join()] as const),
);

it.each(each)(
  "under the fake timers of %s, over client %s, every operation is answered, also once they are given back",
  async (_runner, generation, names) => {
    expect(await runNode([program, inject("currentServer"), generation, names])).toMatchObject({
      stdout: "done\n",
      stderr: "",
    });
  },
);
