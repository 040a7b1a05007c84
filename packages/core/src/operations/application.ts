import type { Context } from "../context.js";
import { SessionStoreError, unavailable } from "../errors.js";
import {
  deserialize,
  jsonSerializer,
  type SessionSerializer,
  serialize,
  textOf,
} from "../format/serializer.js";
import type { KeyConflict } from "../options.js";
import { isThenable } from "../util/is-thenable.js";
import { now } from "../util/timers.js";
import { within } from "../util/within.js";

/** Serialises data by the application's serializer, within the operation's deadline. @throws `ERR_SESSION_SERIALIZE` */
export function serializeData(
  { options: { serializer } }: Context,
  data: object,
  deadline: number,
): Uint8Array | Promise<Uint8Array> {
  return ofSerializer("stringify", serializer, serialize(data, serializer), deadline);
}

/** Values of more bytes than this are read in a turn of the event loop for themselves. */
const LARGE = 32_768;

/** @throws `ERR_SESSION_CORRUPT` */
export function deserializeData<T extends object>(
  context: Context,
  value: Uint8Array,
  deadline: number,
): T | Promise<T> {
  if (value.length <= LARGE) return deserializeNow(context, value, deadline);
  return ownTurn(context, value.length, deadline).then(() => deserializeNow(context, value, deadline));
}

/** Lets other work of the process go before what takes long with so many bytes. */
export async function ownTurn({ turns }: Context, bytes: number, deadline: number): Promise<void> {
  if (bytes <= LARGE) return;
  await within(deadline, turns.next(), () => unavailable("the process had too much else to do"));
}

function deserializeNow<T extends object>(
  { options: { serializer } }: Context,
  value: Uint8Array,
  deadline: number,
): T | Promise<T> {
  return ofSerializer("parse", serializer, deserialize<T>(value, serializer), deadline);
}

/** The text of one key with its value, to compare values by; empty for a key that is not there. */
export function textOfKey(
  { options: { serializer } }: Context,
  key: string,
  value: unknown,
  deadline: number,
): string | Promise<string> {
  if (value === undefined) return "";
  return ofSerializer(
    "stringify",
    serializer,
    textOf(Object.fromEntries([[key, value]]), serializer),
    deadline,
  );
}

/** Asks the application about a key that was changed on both sides. @throws `ERR_SESSION_CALLBACK` */
export async function resolveKey(
  { options: { resolve } }: Context,
  key: string,
  conflict: KeyConflict,
  deadline: number,
): Promise<unknown> {
  try {
    const result = resolve(key, conflict);
    return await inTime("resolve", isThenable(result) ? Promise.resolve(result) : result, deadline);
  } catch (cause) {
    throw cause instanceof SessionStoreError ? cause : failed("resolve", "failed", cause);
  }
}

/**
 * The name of the user whose session these data are, by the option `user`.
 * @throws TypeError when it returns anything but a non-empty string or `undefined`; `ERR_SESSION_CALLBACK`
 */
export function userIn({ options: { user } }: Context, data: object, deadline: number): string | undefined {
  if (!user) return undefined;
  let name: unknown;
  try {
    name = user(data);
  } catch (cause) {
    throw failed("user", "failed", cause);
  }
  requireTime("user", deadline);
  if (name === undefined) return undefined;
  if (typeof name === "string" && name !== "") return name;
  if (isThenable(name)) Promise.resolve(name).catch(() => {});
  const got = name === "" ? "an empty one" : name === null ? "null" : typeof name;
  throw new TypeError(`Expected \`user\` to return a non-empty string or undefined, got ${got}`);
}

/** Runs the application's function for `update`, within the operation's deadline. What it throws is its own. */
export async function changeData<T>(
  change: (data: T) => unknown,
  data: T,
  deadline: number,
): Promise<unknown> {
  const result = change(data);
  return inTime("change", isThenable(result) ? Promise.resolve(result) : result, deadline);
}

function ofSerializer<T>(
  method: keyof SessionSerializer,
  serializer: SessionSerializer,
  result: T | Promise<T>,
  deadline: number,
): T | Promise<T> {
  return serializer === jsonSerializer ? result : inTime(`serializer.${method}`, result, deadline);
}

function inTime<T>(name: string, result: T | Promise<T>, deadline: number): T | Promise<T> {
  if (result instanceof Promise) return within(deadline, result, () => late(name));
  requireTime(name, deadline);
  return result;
}

/** A function that is not asynchronous cannot be interrupted, but what it gave too late is not stored. */
function requireTime(name: string, deadline: number): void {
  if (now() > deadline) throw late(name);
}

function late(name: string): SessionStoreError {
  return failed(name, "did not settle in time");
}

function failed(name: string, what: string, cause?: unknown): SessionStoreError {
  return new SessionStoreError("ERR_SESSION_CALLBACK", `The application's \`${name}\` ${what}.`, cause);
}
