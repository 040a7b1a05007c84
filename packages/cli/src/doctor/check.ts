export type Status = "ok" | "warning" | "critical" | "unknown";

/** A number that a check found, for Prometheus. */
export interface Metric {
  /** Without the prefix of all metrics. */
  readonly name: string;
  readonly help: string;
  readonly value: number;
  readonly labels?: { readonly [name: string]: string };
}

/** What a check found. */
export interface Finding {
  readonly check: string;
  /** Which of several buckets; none where there is one. */
  readonly bucket?: string;
  /** `unknown`: it could not be checked, which is nothing bad in itself. */
  readonly status: Status;
  readonly text: string;
  readonly metrics?: readonly Metric[];
}

const RANKS: { readonly [status in Status]: number } = { ok: 0, unknown: 0, warning: 1, critical: 2 };

export function worst(statuses: readonly Status[]): Status {
  return statuses.reduce((one, other) => (RANKS[other] > RANKS[one] ? other : one), "ok");
}

/** Exit code as monitoring plugins have it. */
export function exitCodeOf(status: Status): number {
  return RANKS[status];
}
