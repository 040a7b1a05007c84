import { BaseSequencer, type TestSpecification } from "vitest/node";

/**
 * The files that take longest. Those that wait for elections and timers of servers alternate with those that keep a
 * processor busy, so that each has what it needs.
 */
const LONG = [
  "system/cluster/partitions",
  "browser/devices",
  "system/cluster/regions",
  "package/packaging",
  "dev-server/cluster",
  "core/operations/list",
  "system/cluster/feed",
  "overlaps/overlaps",
  "core/changes/forged-feed",
  "kv-tour/locks",
  "core/nats/left-behind",
  "system/cluster/schedules",
  "system/faults/interruptions",
  "core/operations/world-schedules",
  "kv-tour/discovery",
  "examples/login",
  "system/faults/reasons",
  "core/operations/sign-in-schedules",
  "core/entries/mirrors",
  "package/programs",
  "core/nats/connection",
  "examples/demo",
  "core/changes/tail",
  "core/operations/limit-races",
  "system/cluster/replicas",
  "core/operations/users-many",
  "examples/device-events",
  "bench/bench",
  "system/cluster/shards",
  "core/operations/schedules",
  "core/operations/deadlines",
  "adapters/migration/express",
  "core/changes/restored-bucket",
  "core/operations/users-model",
];

/** Runs the files that take longest first, so that no worker still has one of them when the others have finished. */
export class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const placeOf = ({ moduleId }: TestSpecification) => {
      const place = LONG.findIndex((name) => moduleId.endsWith(`/${name}.test.ts`));
      return place === -1 ? LONG.length : place;
    };
    return (await super.sort(files)).sort((one, other) => placeOf(one) - placeOf(other));
  }
}
