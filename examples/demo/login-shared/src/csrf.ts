import { randomBytes, timingSafeEqual } from "node:crypto";
import type { LoginSession } from "./session-data.js";

/** A secret that only pages of this session hold, so that no other site can send our forms. */
export function newCsrfToken(): string {
  return randomBytes(32).toString("base64url");
}

/** Whether a form came from one of the session's own pages. */
export function holdsCsrfToken(session: LoginSession | null | undefined, form: unknown): boolean {
  const expected = Buffer.from(session?.csrf ?? "");
  const given = Buffer.from(formField(form, "csrf"));
  return expected.length > 0 && expected.length === given.length && timingSafeEqual(expected, given);
}

/** A field of a parsed form; empty when it is missing or not plain text. */
export function formField(form: unknown, name: string): string {
  if (typeof form !== "object" || form === null || !Object.hasOwn(form, name)) return "";
  const value: unknown = Reflect.get(form, name);
  return typeof value === "string" ? value : "";
}
