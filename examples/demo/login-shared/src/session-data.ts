import type { Device } from "./device.js";

/** What the applications keep in a session. */
export interface LoginSession {
  /** Token of this session's forms. */
  csrf?: string;
  /** Who is signed in. */
  userId?: string;
  /** When, in unix milliseconds. */
  signedInAt?: number;
  /** Times the profile was shown. */
  visits?: number;
  /** Where the sign-in came from. */
  device?: Device;
  /** What the next page is to tell, once. */
  notice?: string;
}

/** The content of a session that begins with signing in: nothing of an earlier one is carried over. */
export function signedInSession(userId: string, csrf: string, device: Device): LoginSession {
  return { csrf, userId, signedInAt: Date.now(), visits: 0, device };
}
