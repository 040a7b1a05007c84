import { UsageError } from "../exit.js";

const HANDLE = /^[A-Za-z0-9_-]{43}$/;

/**
 * Checks that an argument is a handle. It is not quoted: it may be a session id, pasted by mistake.
 * @throws UsageError
 */
export function checkHandle(value: string): void {
  if (HANDLE.test(value)) return;
  throw new UsageError(
    "Expected a handle, as `nats-sessions list` shows it: 43 letters, digits, - and _ (a session id is not a handle)",
  );
}
