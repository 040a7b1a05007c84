import fc from "fast-check";
import { handleOf } from "nats-session-store";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deaf, replacing } from "../../support/faulty-clients.js";
import { encryptionBy } from "../../support/keys.js";
import { putEntry } from "../../support/put-entry.js";
import { seed } from "../../support/random.js";
import { shiftClocks } from "../../support/shifted-clocks.js";
import { TwoProcesses } from "../../support/two-processes.js";
import { clients, connectCurrent, newBucket } from "../../support/variants.js";
import {
  backup,
  type ClientPlan,
  mirror,
  parts,
  purge,
  World,
  type WorldPlan,
} from "../../support/worlds.js";

const CLIENTS = 4;
const STEPS = 6;
const PARTS = 3;
const MINUTE = 60_000;

/** So many schedules show a fault for certain: a few tens do. */
const ENOUGH = 2000;

/** How many steps of each world; SESSION_TEST_OPERATIONS asks for more. */
const operations = Number(process.env.SESSION_TEST_OPERATIONS ?? 500);
const runs = Math.ceil(operations / (CLIENTS * STEPS * PARTS));

const plain: ClientPlan = {};
const cached: ClientPlan = { options: { cache: { maxStale: 200 } } };
const mixed = [plain, cached, plain, cached];

type Breaking = NonNullable<ClientPlan["breaking"]>;

/** Its ends cover what they have not read, such as the tombstone that names the session's new id. */
const coversUnread: Breaking = (client, world) => {
  const nc = world.connect();
  const tombstone = { "KV-Operation": "DEL", "Session-Write": "destroy" };
  const destroy = async (id: string) => {
    await putEntry(await nc, world.bucket, `s.${handleOf(id)}`, "", tombstone);
    return true;
  };
  return replacing(client, { destroy });
};

/** It believes any copy of the bucket. */
const believesAnyCopy: Breaking = (client, world) => {
  const { bucket } = world;
  const nc = world.connect();
  const load = async (id: string) => {
    const subject = `$JS.API.DIRECT.GET.KV_${bucket}.$KV.${bucket}.s.${handleOf(id)}`;
    const { data } = await (await nc).request(subject, new Uint8Array(0), { timeout: 30_000 });
    const record = await client.store.load(id);
    return (
      record && Object.assign(record, { data: data.length ? JSON.parse(Buffer.from(data).toString()) : {} })
    );
  };
  return replacing(client, { load });
};

/** It takes what it cannot read for a session that is not there. */
const findsNothing: Breaking = (client) =>
  replacing(client, { load: (id) => client.store.load(id).catch(() => null) });

const broken = (list: readonly ClientPlan[], breaking: Breaking) =>
  list.map((client) => ({ ...client, breaking }));

const withClocks = (minutes: number) =>
  [plain, cached, plain, cached].map((client, n) => ({
    ...client,
    clock: (n < 2 ? minutes : -minutes) * MINUTE,
  }));

const withKeys = [
  ["A", "B"],
  ["B", "A"],
  ["B", "A"],
].map((keys, n): ClientPlan => {
  return { options: { ...mixed[n]?.options, encryption: encryptionBy(...keys) } };
});
const stranger: ClientPlan = { options: { encryption: encryptionBy("C") }, isStranger: true };

interface Tested {
  readonly what: string;
  readonly plan: () => WorldPlan;
  /** The same with clients that have a fault of this kind. */
  readonly broken: () => WorldPlan;
}

const purges = [purge(false), purge(true)];
const mirrors = [mirror(">"), mirror(">", true), mirror("other.>")];

const worlds: Tested[] = [
  {
    what: "the session gets new ids",
    plan: () => ({ clients: mixed, events: [] }),
    broken: () => ({ clients: broken(mixed, coversUnread), events: [] }),
  },
  ...mirrors.map((event, n) => ({
    what: ["the bucket gets a mirror", "a mirror stays behind", "a mirror has part of the keys"][n] as string,
    plan: () => ({ clients: mixed, events: [event] }),
    broken: () => ({ clients: broken([plain, plain, plain, plain], believesAnyCopy), events: [event] }),
  })),
  ...purges.map((event, n) => ({
    what: ["the session is purged", "the stream is purged"][n] as string,
    plan: () => ({ clients: mixed, events: [event] }),
    broken: () => ({ clients: broken([plain, plain, plain, plain], deaf), events: [event] }),
  })),
  {
    what: "clocks are five minutes off, either way",
    plan: () => ({ clients: withClocks(5), events: [] }),
    // More than the session's life.
    broken: () => ({ clients: withClocks(40), events: [] }),
  },
  {
    what: "keys are rotated, and a process has the wrong one",
    plan: () => ({ clients: [...withKeys, stranger], events: [] }),
    broken: () => ({ clients: [...withKeys, ...broken([stranger], findsNothing)], events: [] }),
  },
  {
    what: "all of this happens",
    plan: () => ({
      clients: [...withKeys.map((client, n) => ({ ...client, clock: (n - 1) * 5 * MINUTE })), stranger],
      events: [mirror(">"), purge(true)],
    }),
    broken: () => ({ clients: broken(withKeys, deaf), events: [mirror(">"), purge(true)] }),
  },
];

/**
 * Runs schedules in a world until one breaks a promise.
 * @param isFaulty whether the clients have a fault, which may also make them fail
 * @returns what it broke
 */
async function check(
  plan: () => WorldPlan,
  begin: () => Promise<World>,
  { isFaulty = false, numRuns = runs } = {},
): Promise<string> {
  const property = fc.asyncProperty(parts(PARTS, CLIENTS, STEPS), async (schedule) => {
    const playing = (await begin()).play(plan(), schedule, isFaulty ? 1000 : undefined);
    const violations = await (isFaulty ? playing.catch(() => []) : playing);
    if (violations.length > 0) throw new Error(`Broken: ${violations.join("\n")}`);
  });
  // A schedule does not run the same way twice, so there is nothing to shrink.
  const result = await fc.check(property, { seed, numRuns, endOnFailure: true });
  return result.failed ? `${result.errorInstance} (seed ${seed}, path ${result.counterexamplePath})` : "";
}

describe("random schedules", { timeout: 600_000 + 20 * operations }, () => {
  let undo: () => void;
  beforeAll(() => {
    undo = shiftClocks();
    console.log(
      `SESSION_TEST_SEED=${seed}, ${runs} schedules of ${PARTS} parts with ${CLIENTS} clients each`,
    );
  });
  afterAll(() => undo());

  const begin = async () => new World(newBucket(), connectCurrent);

  it.each(worlds)("keep every promise where $what", async ({ plan }) => {
    expect(await check(plan, begin)).toBe("");
  });

  it.each(worlds)("show a client with a fault where $what", async ({ broken }) => {
    expect(await check(broken, begin, { isFaulty: true, numRuns: ENOUGH })).toMatch(/^Error: Broken:/);
  });

  /** With a server of its own, whose data are put back: this takes a second for each. */
  const restored = (breaking?: Breaking) =>
    check(
      () => ({ clients: breaking ? broken(mixed, breaking) : mixed, events: backup() }),
      async () => {
        const site = await TwoProcesses.start(clients["@nats-io/transport-node 3"] as never);
        return new World(
          site.bucket,
          () => site.nc(),
          () => site.backUp(),
        );
      },
      breaking ? { isFaulty: true, numRuns: ENOUGH } : { numRuns: Math.ceil(runs / 8) },
    );

  it("keep every promise where a backup of the bucket is restored", async () => {
    expect(await restored()).toBe("");
  });

  it("show a client with a fault where a backup of the bucket is restored", async () => {
    expect(await restored(deaf)).toMatch(/^Error: Broken:/);
  });
});
