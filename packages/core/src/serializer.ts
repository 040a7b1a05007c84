import sjson from "secure-json-parse";
import { SessionStoreError } from "./errors.js";
import { corrupt } from "./record.js";
import type { SessionSerializer } from "./store-options.js";

/** JSON that drops `__proto__` and `constructor.prototype` when it reads, so no prototype can be changed. */
export const jsonSerializer: SessionSerializer = {
  stringify: (data) => JSON.stringify(data),
  parse: (text) => sjson.parse(text, { protoAction: "remove", constructorAction: "remove" }) as object,
};

const utf8 = new TextDecoder("utf-8", { fatal: true });

/**
 * At once where the serializer answers at once: a promise more for each operation is felt.
 * @throws `ERR_SESSION_SERIALIZE`
 */
export function serialize(data: object, serializer: SessionSerializer): Uint8Array | Promise<Uint8Array> {
  let result: unknown;
  try {
    result = serializer.stringify(data);
  } catch (cause) {
    throw notSerialised(cause);
  }
  if (!isThenable(result)) return bytesOf(result);
  return Promise.resolve(result).then(bytesOf, (cause) => Promise.reject(notSerialised(cause)));
}

/** @throws `ERR_SESSION_SERIALIZE` */
export async function textOf(data: object, serializer: SessionSerializer): Promise<string> {
  try {
    return await serializer.stringify(data);
  } catch (cause) {
    throw notSerialised(cause);
  }
}

function bytesOf(text: unknown): Uint8Array {
  if (typeof text === "string") return Buffer.from(text);
  throw new SessionStoreError("ERR_SESSION_SERIALIZE", "The serializer did not return a string.");
}

function notSerialised(cause: unknown): SessionStoreError {
  return new SessionStoreError("ERR_SESSION_SERIALIZE", "The session data cannot be serialised.", cause);
}

/**
 * At once where the serializer answers at once.
 * @throws `ERR_SESSION_CORRUPT`
 */
export function deserialize<T extends object>(
  value: Uint8Array,
  serializer: SessionSerializer,
): T | Promise<T> {
  let result: unknown;
  try {
    result = serializer.parse(utf8.decode(value));
  } catch {
    throw notParsed();
  }
  if (!isThenable(result)) return objectOf<T>(result);
  return Promise.resolve(result).then(objectOf<T>, () => Promise.reject(notParsed()));
}

function objectOf<T extends object>(data: unknown): T {
  if (typeof data !== "object" || data === null) throw corrupt("its value is not an object");
  return data as T;
}

/** Without the parser's own error: V8 quotes the text in it, which is session data. */
function notParsed(): SessionStoreError {
  return corrupt("its value does not parse");
}

/** Whether two serialised sessions are the same. */
export function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one === other || Buffer.compare(one, other) === 0;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
