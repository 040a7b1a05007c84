import { headers } from "@nats-io/nats-core";

export const EXPECTED = "Nats-Expected-Last-Subject-Sequence";

/**
 * What somebody published.
 *
 * @typedef {object} Published
 * @property {string} subject
 * @property {Uint8Array | undefined} payload
 * @property {[name: string, value: string][]} headers
 */

/**
 * A connection that tells of what is published over it: how the other clients come to send the same bytes as
 * the store, whatever its format.
 *
 * @template {object} T
 * @param {T} nc
 * @param {(published: Published) => void} listener
 * @returns {T}
 */
export function tapped(nc, listener) {
  return new Proxy(nc, {
    get(target, name) {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      if (name !== "publish") return value.bind(target);
      return (subject, payload, options) => {
        listener({ subject, payload, headers: headerLines(options?.headers) });
        return value.call(target, subject, payload, options);
      };
    },
  });
}

/**
 * @param {[name: string, value: string][]} list
 * @param {Record<string, string>} [changes] other values for some of them
 */
export function headersOf(list, changes = {}) {
  const result = headers();
  for (const [name, value] of list) result.set(name, changes[name] ?? value);
  return result;
}

function headerLines(encodable) {
  if (!encodable) return [];
  const lines = Buffer.from(encodable.encode()).toString().split("\r\n").slice(1);
  return lines.filter(Boolean).map((line) => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon), line.slice(colon + 1).trim()];
  });
}
