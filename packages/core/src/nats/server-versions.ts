import { SessionStoreError } from "../errors.js";
import { warn } from "../util/warn.js";

/** The oldest server that keeps the store's promises: older ones can acknowledge two saves of one revision. */
const OLDEST = "2.10.0";

/** What of a bucket decides whether the faults matter. */
export interface FaultContext {
  /** The server removes each session by its own TTL. */
  readonly ttls: boolean;
}

interface Fault {
  /** The versions that have it: from the first, included, to the second, not included. */
  readonly versions: readonly (readonly [from: string, to: string])[];
  readonly message: string;
}

/** All of them are faults of the TTL of each message. */
const FAULTS: readonly Fault[] = [
  {
    versions: [["2.14.0", "2.14.4"]],
    message: "a save that meets the expiry of a session can stop all writes for good. Use 2.14.4 or later",
  },
  {
    versions: [
      ["2.11.0", "2.11.10"],
      ["2.12.0", "2.12.1"],
    ],
    message:
      "it keeps each overwritten session in memory until that one would have expired. Use 2.11.10, 2.12.1 or later",
  },
];

/** What is wrong with a version of nats-server that matters to sessions in such a bucket, and what to do. */
export function serverFaultOf(version: string, { ttls }: FaultContext): string | undefined {
  if (!ttls) return undefined;
  const found = FAULTS.filter(({ versions }) =>
    versions.some(([from, to]) => isBefore(version, to) && isAtLeast(version, from)),
  );
  return found.length > 0 ? found.map(({ message }) => message).join("; ") : undefined;
}

/** @throws `ERR_SESSION_SERVER_VERSION` for a server that is too old; one that gives no version is let through */
export function checkServerVersion(version: string | undefined): void {
  if (version === undefined || isAtLeast(version, OLDEST)) return;
  throw new SessionStoreError(
    "ERR_SESSION_SERVER_VERSION",
    `nats-server ${version} is too old: it can accept two saves of one session at the same moment and lose one. Use ${OLDEST} or later.`,
  );
}

export function isAtLeast(version: string, oldest: string): boolean {
  return !isBefore(version, oldest);
}

function isBefore(version: string, other: string): boolean {
  const [a, b] = [numbers(version), numbers(other)];
  const n = a.findIndex((part, i) => part !== b[i]);
  return n >= 0 && (a[n] as number) < (b[n] as number);
}

function numbers(version: string): number[] {
  return version.split(/[.-]/, 3).map((part) => Number.parseInt(part, 10));
}

/** Warns of a server with a fault that matters. */
export function warnOfServerFault(bucket: string, version: string | undefined, context: FaultContext): void {
  const fault = version === undefined ? undefined : serverFaultOf(version, context);
  if (fault === undefined) return;
  const message = `nats-server ${version} has a fault that matters to sessions: ${fault}.`;
  warn(bucket, "NATS_SESSION_SERVER_FAULT", message);
}
