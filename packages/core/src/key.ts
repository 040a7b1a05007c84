import { hash } from "node:crypto";
import type { Names } from "./context.js";

/** A handle is the SHA-256 of the session id in base64url: 43 characters, no padding. */
const HANDLE = /^[A-Za-z0-9_-]{43}$/;

/** A prefix becomes tokens of a NATS subject, so it is held to what every server and tool accepts there. */
const PREFIX = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;

/** Bucket names as the official KV clients accept them (ADR-8). */
const BUCKET = /^[A-Za-z0-9_-]+$/;

/**
 * The public name of a session: one-way, so it may be shown, logged and used in a URL. Any string is a valid
 * id; hashing is what keeps a hostile one (`*`, `>`, dots, 10 kB) from addressing anything but its own entry.
 */
export function handleOf(id: string): string {
  checkId(id);
  // UTF-8 turns every lone surrogate into the same replacement character; two such ids must not meet.
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

/** The name under which a user stands in headers and keys: any name is valid, as any session id is. */
export function ownerOf(user: string): string {
  return handleOf(checkUser(user));
}

/** @throws TypeError for anything but a string */
export function checkId(id: string): string {
  if (typeof id !== "string") throw new TypeError(`Expected the session id to be a string, got ${typeof id}`);
  return id;
}

/** @throws TypeError for anything but a non-empty string */
export function checkUser(user: string): string {
  if (typeof user === "string" && user !== "") return user;
  throw new TypeError(`Expected the user to be a non-empty string, got ${user === "" ? '""' : typeof user}`);
}

const NO_NAMES: readonly string[] = [];

/** The names in a store without encryption. */
export const plainNames: Names = {
  handleOf,
  ownerOf,
  olderHandlesOf: () => NO_NAMES,
  aliasesOf: (handle) => [handle],
  ownersOf: (user) => [ownerOf(user)],
};

/** Where the session keys of one application begin: `[prefix.]s.`; the handle follows. */
export function sessionKeyStart(prefix: string | undefined): string {
  return prefix === undefined ? "s." : `${prefix}.s.`;
}

/** Where the index keys of one application begin: `[prefix.]u.`; owner, a dot and handle follow. */
export function indexKeyStart(prefix: string | undefined): string {
  return prefix === undefined ? "u." : `${prefix}.u.`;
}
