import sjson from "secure-json-parse";
import { SessionStoreError } from "./errors.js";
import { corrupt } from "./record.js";
import type { SessionSerializer } from "./types.js";

/** JSON that drops `__proto__` and `constructor.prototype` when it reads, so no prototype can be changed. */
export const jsonSerializer: SessionSerializer = {
  stringify: (data) => JSON.stringify(data),
  parse: (text) => sjson.parse(text, { protoAction: "remove", constructorAction: "remove" }) as object,
};

const utf8 = new TextDecoder("utf-8", { fatal: true });

/** @throws `ERR_SESSION_SERIALIZE` */
export async function serialize(data: object, serializer: SessionSerializer): Promise<Uint8Array> {
  let text: unknown;
  try {
    const result = serializer.stringify(data);
    text = typeof result === "string" ? result : await result;
  } catch (cause) {
    throw new SessionStoreError("ERR_SESSION_SERIALIZE", "The session data cannot be serialised.", cause);
  }
  if (typeof text !== "string") {
    throw new SessionStoreError("ERR_SESSION_SERIALIZE", "The serializer did not return a string.");
  }
  return Buffer.from(text);
}

/** @throws `ERR_SESSION_CORRUPT` */
export async function deserialize<T extends object>(
  value: Uint8Array,
  serializer: SessionSerializer,
): Promise<T> {
  let data: unknown;
  try {
    const result = serializer.parse(utf8.decode(value));
    data = isThenable(result) ? await result : result;
  } catch {
    // The parser's own error is no cause to pass on: V8 quotes the text, which is session data.
    throw corrupt("its value does not parse");
  }
  if (typeof data !== "object" || data === null) throw corrupt("its value is not an object");
  return data as T;
}

/** Whether two serialised sessions are the same. */
export function isSame(one: Uint8Array, other: Uint8Array): boolean {
  return one === other || Buffer.compare(one, other) === 0;
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
