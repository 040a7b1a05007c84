import { corrupt, SessionStoreError } from "../errors.js";
import { isThenable } from "../util/is-thenable.js";
import { isTextTooDeep, isTooDeep, MAX_DEPTH } from "./depth.js";

/**
 * Turns session data into text and back, synchronously or not. An error of either function is reported without the
 * data.
 */
export interface SessionSerializer {
  /** Gives the text to store; it must not change the data. */
  stringify(data: object): string | PromiseLike<string>;
  /** Gives the data in a stored text, as a new object. */
  parse(text: string): object | PromiseLike<object>;
}

/** JSON without the keys that can change a prototype: they are dropped when it is read. */
export const jsonSerializer: SessionSerializer = {
  stringify: (data) => JSON.stringify(data),
  parse: (text) => JSON.parse(text, isSuspect(text) ? dropPolluting : undefined) as object,
};

/** Whether a text may hold such a key; with an escape a key can be written in many ways. */
function isSuspect(text: string): boolean {
  return text.includes("__proto__") || text.includes("constructor") || text.includes("\\u");
}

function dropPolluting(key: string, value: unknown): unknown {
  if (key === "__proto__") return undefined;
  if (key === "constructor" && isObject(value)) Reflect.deleteProperty(value, "prototype");
  return value;
}

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * Synchronous where the serializer is: one more promise for each operation is measurable.
 * @throws `ERR_SESSION_SERIALIZE`
 */
export function serialize(data: object, serializer: SessionSerializer): Uint8Array | Promise<Uint8Array> {
  const text = textOf(data, serializer);
  return typeof text === "string" ? Buffer.from(text) : text.then((result) => Buffer.from(result));
}

/**
 * Synchronous where the serializer is.
 * @throws `ERR_SESSION_SERIALIZE`
 */
export function textOf(data: object, serializer: SessionSerializer): string | Promise<string> {
  const isJson = serializer === jsonSerializer;
  let isDeep = false;
  let result: unknown;
  try {
    // The text of another serializer has a form of its own, so that the object is measured.
    if (!isJson) isDeep = isTooDeep(data);
    if (!isDeep) result = serializer.stringify(data);
    if (isThenable(result)) return Promise.resolve(result).then(checkedText, rejectNotSerialised);
  } catch (cause) {
    throw notSerialised(cause);
  }
  if (isDeep) throw tooDeep();
  const text = checkedText(result);
  if (isJson) checkJson(text);
  return text;
}

function checkedText(text: unknown): string {
  if (typeof text === "string") return text;
  throw new SessionStoreError("ERR_SESSION_SERIALIZE", "The serializer did not return a string.");
}

function checkJson(text: string): void {
  if (isTextTooDeep(text)) throw tooDeep();
  if (text.startsWith("{") || text.startsWith("[")) return;
  // A `toJSON` of the data can return anything; such a session could be stored, but never read.
  throw new SessionStoreError(
    "ERR_SESSION_SERIALIZE",
    "The JSON of the session data is not that of an object.",
  );
}

function tooDeep(): SessionStoreError {
  const message = `The session data are nested more than ${MAX_DEPTH} levels deep.`;
  return new SessionStoreError("ERR_SESSION_SERIALIZE", message);
}

function notSerialised(cause: unknown): SessionStoreError {
  return new SessionStoreError("ERR_SESSION_SERIALIZE", "The session data cannot be serialised.", cause);
}

function rejectNotSerialised(cause: unknown): never {
  throw notSerialised(cause);
}

/**
 * Synchronous where the serializer is.
 * @throws `ERR_SESSION_CORRUPT`
 */
export function deserialize<T extends object>(
  value: Uint8Array,
  serializer: SessionSerializer,
): T | Promise<T> {
  const isJson = serializer === jsonSerializer;
  let isDeep = false;
  let result: unknown;
  try {
    const text = utf8.decode(value);
    if (isJson) isDeep = isTextTooDeep(text);
    if (!isDeep) result = serializer.parse(text);
    if (isThenable(result)) return Promise.resolve(result).then(shallowObject<T>, rejectNotParsed);
  } catch {
    throw notParsed();
  }
  if (isDeep) throw storedTooDeep();
  return isJson ? objectIn<T>(result) : shallowObject<T>(result);
}

function objectIn<T extends object>(data: unknown): T {
  if (!isObject(data)) throw corrupt("its value is not an object");
  return data as T;
}

function shallowObject<T extends object>(data: unknown): T {
  const object = objectIn<T>(data);
  let isDeep: boolean;
  try {
    isDeep = isTooDeep(object);
  } catch {
    throw notParsed();
  }
  if (isDeep) throw storedTooDeep();
  return object;
}

function storedTooDeep(): SessionStoreError {
  return corrupt(`its value is nested more than ${MAX_DEPTH} levels deep`);
}

/** Without the parser's own error: V8 quotes the text in it, which is session data. */
function notParsed(): SessionStoreError {
  return corrupt("its value does not parse");
}

function rejectNotParsed(): never {
  throw notParsed();
}

/** Whether two serialised sessions are the same. */
export function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one === other || (one.length === other.length && Buffer.compare(one, other) === 0);
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
