import type { CheckOptions, CheckResult } from "nats-session-store";

/** The part of a store that tells whether its sessions can be reached. */
export interface CheckedSessions {
  check(options?: CheckOptions): Promise<CheckResult>;
}

/** How long a health check may take, in ms. */
const TIMEOUT = 1000;

/** The answer to a health check: 503 while no sessions can be reached, so that a balancer sends no visitors here. */
export async function healthOf(sessions: CheckedSessions): Promise<{ status: 200 | 503; body: object }> {
  try {
    return { status: 200, body: await sessions.check({ timeout: TIMEOUT }) };
  } catch (error) {
    const { code = "unknown" } = error as { code?: string };
    return { status: 503, body: { code } };
  }
}
