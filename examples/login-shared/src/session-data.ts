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
}

/** The content of a session that begins with signing in: nothing of an earlier one is carried over. */
export function signedInSession(userId: string, csrf: string): Required<LoginSession> {
  return { csrf, userId, signedInAt: Date.now(), visits: 0 };
}
