import { hash } from "node:crypto";

/** SHA-256 in base64url, without padding. */
const HANDLE = /^[A-Za-z0-9_-]{43}$/;

/** A prefix becomes tokens of a NATS subject: only characters that every server and tool accepts there. */
const PREFIX = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

/** Bucket names as the official KV clients accept them (ADR-8). */
const BUCKET = /^[A-Za-z0-9_-]+$/;

/**
 * The public name of a session: the SHA-256 of its id in base64url, 43 characters. It is one-way, so it may be shown,
 * logged and used in a URL. Any string is a valid id; hashing keeps a hostile one (`*`, `>`, dots, 10 kB) from
 * addressing anything but its own entry.
 *
 * @example
 * ```ts
 * handleOf("abc"); // "ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0"
 * ```
 * @throws TypeError for anything but a string
 */
export function handleOf(id: string): string {
  if (typeof id !== "string") throw new TypeError(`Expected the session id to be a string, got ${typeof id}`);
  // UTF-8 turns every lone surrogate into the same replacement character, so two such ids would share a handle.
  if (!id.isWellFormed()) return hash("sha256", Buffer.from(`utf16le:${id}`, "utf16le"), "base64url");
  return hash("sha256", id, "base64url");
}

export function isHandle(value: unknown): value is string {
  return typeof value === "string" && HANDLE.test(value);
}

export function isPrefix(value: string): boolean {
  return PREFIX.test(value);
}

export function isBucketName(value: string): boolean {
  return BUCKET.test(value);
}

/** Start of an application's session keys, `[prefix.]s.`; the handle follows. */
export function sessionKeyStart(prefix: string | undefined): string {
  return prefix === undefined ? "s." : `${prefix}.s.`;
}

/** Start of an application's index keys, `[prefix.]u.`; the user's hash follows. */
export function indexKeyStart(prefix: string | undefined): string {
  return prefix === undefined ? "u." : `${prefix}.u.`;
}
