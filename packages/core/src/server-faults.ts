/** What of a bucket decides which faults matter. */
export interface FaultContext {
  /** The server removes each session by its own TTL. */
  readonly ttls: boolean;
  /** Several servers hold the bucket. */
  readonly replicated: boolean;
  /** The bucket has a `maxBytes`. */
  readonly limited: boolean;
}

interface Fault {
  /** The versions that have it: from the first, included, to the second, not included. */
  readonly versions: readonly (readonly [from: string, to: string])[];
  readonly matters: (context: FaultContext) => boolean;
  readonly message: string;
}

const FAULTS: readonly Fault[] = [
  {
    versions: [["2.14.0", "2.14.4"]],
    matters: ({ ttls }) => ttls,
    message: "a save that meets the expiry of a session can stop all writes for good. Use 2.14.4 or later",
  },
  {
    versions: [
      ["2.11.0", "2.11.10"],
      ["2.12.0", "2.12.1"],
    ],
    matters: ({ ttls }) => ttls,
    message:
      "it keeps each overwritten session in memory until that one's time is over. Use 2.11.10, 2.12.1 or later",
  },
  {
    versions: [["0.0.0", "2.10.0"]],
    matters: ({ replicated }) => replicated,
    message:
      "with replicas it can accept two saves of one session at the same moment, and one of them is lost. Use 2.10 or later, or one replica",
  },
  {
    versions: [["0.0.0", "2.10.0"]],
    matters: ({ limited }) => limited,
    message:
      "a bucket that reaches its `maxBytes` drops its oldest sessions. Use 2.10 or later, or no `maxBytes`",
  },
];

/** What is wrong with a version of nats-server that matters to sessions in such a bucket, and what to do. */
export function serverFaultOf(version: string, context: FaultContext): string | undefined {
  const found = FAULTS.filter(
    ({ versions, matters }) =>
      matters(context) && versions.some(([from, to]) => isBefore(version, to) && !isBefore(version, from)),
  );
  return found.length > 0 ? found.map(({ message }) => message).join("; ") : undefined;
}

function isBefore(version: string, other: string): boolean {
  const [a, b] = [numbers(version), numbers(other)];
  const n = a.findIndex((part, i) => part !== b[i]);
  return n >= 0 && (a[n] as number) < (b[n] as number);
}

function numbers(version: string): number[] {
  return version.split(/[.-]/, 3).map((part) => Number.parseInt(part, 10));
}
