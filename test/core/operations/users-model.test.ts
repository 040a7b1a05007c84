import fc from "fast-check";
import type { EncryptionOptions, SessionStore } from "nats-session-store";
import { afterAll, describe, expect, it } from "vitest";
import { stopClock } from "../../support/clock.js";
import { keyOf } from "../../support/keys.js";
import { seed } from "../../support/random.js";
import { type Data, handlesOf, Stores } from "../../support/stores.js";
import { newBucket, type Variant, variantsAndShards } from "../../support/variants.js";

const SESSIONS = 6;
const USERS = ["ada", "bob", "eve"];
const STORES = 3;
const RUNS = 10;

const [first, second] = ["first", "second"].map((id) => keyOf(id).key);
if (!first || !second) throw new Error("no secrets");

/** What processes that run at the same time are given while a secret for user names is turned on and exchanged. */
const STEPS: [string, (EncryptionOptions | undefined)[]][] = [
  ["that know a secret and write without it", [undefined, { userKeys: ["sha256", first] }]],
  ["of which some write with a secret", [{ userKeys: ["sha256", first] }, { userKeys: [first] }]],
  [
    "that know a second secret and write with the first",
    [{ userKeys: [first] }, { userKeys: [first, second] }],
  ],
  [
    "of which some write with a second secret",
    [{ userKeys: [first, second] }, { userKeys: [second, first] }],
  ],
];

/** One step on a session, a user, or both, through one of the stores. */
interface Step {
  readonly do: "save" | "replace" | "touch" | "destroy" | "expire" | "rotate" | "destroyOf" | "destroyOthers";
  readonly session: number;
  /** `null` = nobody. */
  readonly user: number | null;
  readonly store: number;
}

const steps = fc.array(
  fc.record<Step>({
    do: fc.oneof(
      { weight: 6, arbitrary: fc.constant("save" as const) },
      { weight: 2, arbitrary: fc.constantFrom("replace" as const, "touch" as const, "rotate" as const) },
      { weight: 2, arbitrary: fc.constantFrom("destroy" as const, "expire" as const) },
      { weight: 1, arbitrary: fc.constantFrom("destroyOf" as const, "destroyOthers" as const) },
    ),
    session: fc.nat(SESSIONS - 1),
    user: fc.option(fc.nat(USERS.length - 1), { freq: 6 }),
    store: fc.nat(STORES - 1),
  }),
  { minLength: 25, maxLength: 25 },
);

/** Sessions and whose they are, kept beside those in the bucket. */
class Model {
  readonly #ids = Array.from({ length: SESSIONS }, (_, n) => `session ${n}`);
  readonly #users = new Map<string, string | undefined>();
  #rotated = 0;

  constructor(
    private readonly start: string,
    private readonly clock: ReturnType<typeof stopClock>,
  ) {}

  async run(step: Step, store: SessionStore<Data>): Promise<void> {
    const id = this.#idOf(step.session);
    const user = step.user === null ? undefined : this.#userOf(step.user);
    const data: Data = user === undefined ? {} : { user };
    const record = await store.load(id);
    switch (step.do) {
      case "save":
        await store.save(id, data, record ? { record } : {});
        this.#users.set(id, user);
        break;
      case "replace":
        await store.save(id, data);
        this.#users.set(id, user);
        break;
      case "touch":
        if (record) expect((await store.touch(id, record, { ttl: 90_000_000 })).outcome).not.toBe("gone");
        break;
      case "destroy":
        expect(await store.destroy(id)).toBe(this.#users.delete(id));
        break;
      case "expire":
        await this.#expire(store, id, data);
        break;
      case "rotate":
        if (record) await this.#rotate(step.session, store, id, data);
        break;
      default:
        if (user !== undefined) await this.#end(store, user, step.do === "destroyOthers" ? id : undefined);
    }
  }

  async #expire(store: SessionStore<Data>, id: string, data: Data): Promise<void> {
    await store.save(id, data, { ttl: 100 });
    this.clock.advance(100);
    this.#users.delete(id);
  }

  async #rotate(session: number, store: SessionStore<Data>, id: string, data: Data): Promise<void> {
    const record = await store.load(id);
    if (!record) return;
    this.#ids[session] = `rotated ${this.#rotated++}`;
    const newId = this.#idOf(session);
    expect((await store.rotate(id, newId, data, { record })).outcome).toBe("saved");
    this.#users.delete(id);
    this.#users.set(newId, data.user);
  }

  async #end(store: SessionStore<Data>, user: string, except: string | undefined): Promise<void> {
    const ended = [...this.#users].filter(([id, name]) => name === user && id !== except);
    const options = except === undefined ? {} : { except: store.handleOf(except) };
    expect(await store.destroyByUser(user, options)).toBe(ended.length);
    for (const [id] of ended) this.#users.delete(id);
  }

  async check(store: SessionStore<Data>): Promise<void> {
    for (const [n] of USERS.entries()) {
      const user = this.#userOf(n);
      const own = [...this.#users].filter(([, name]) => name === user).map(([id]) => store.handleOf(id));
      expect((await handlesOf(store, user)).sort()).toEqual(own.sort());
    }
  }

  #idOf(session: number): string {
    return `${this.start} ${this.#ids[session]}`;
  }

  #userOf(index: number): string {
    return `${this.start} ${USERS[index]}`;
  }
}

describe.each(variantsAndShards().filter(({ name }) => name.includes("@nats-io")))(
  "after random steps on sessions and users over $name",
  (variant: Variant) => {
    const stores = new Stores(variant);
    afterAll(() => stores.close());

    const check = async (configurations: (EncryptionOptions | undefined)[], numRuns: number) => {
      console.log(`SESSION_TEST_SEED=${seed}`);
      const bucket = newBucket();
      const several: SessionStore<Data>[] = [];
      for (let n = 0; n < STORES; n++) {
        const encryption = configurations[n % configurations.length];
        several.push(await stores.open({ bucket, ...(encryption ? { encryption } : {}) }));
      }
      const clock = stopClock();
      let runs = 0;
      const property = fc.asyncProperty(steps, async (list) => {
        const model = new Model(`run ${runs++}`, clock);
        for (const step of list) {
          await model.run(step, several[step.store] as SessionStore<Data>);
          await model.check(several[(step.store + 1) % STORES] as SessionStore<Data>);
        }
      });
      // Shrinking would take long and tell little: steps are few.
      await fc.assert(property, { seed, numRuns, endOnFailure: true });
    };

    it("each user's list agrees with a model in every process", () => check([undefined], RUNS));

    it.each(STEPS)("each user's list agrees with a model in processes %s", (_what, configurations) =>
      check(configurations, RUNS),
    );
  },
);
