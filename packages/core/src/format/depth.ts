/**
 * How many levels of objects and arrays a session may have, its own object included. Frameworks process sessions
 * recursively outside of any error handler: some 2500 levels, 5 kB of JSON, would end the process.
 */
export const MAX_DEPTH = 500;

/** Whether a JSON text is nested deeper than `MAX_DEPTH`. */
export function isTextTooDeep(text: string): boolean {
  return hasManyBrackets(text) && isNestedTooDeep(text);
}

/** Rules out almost every session by native searches, at a fraction of the cost of reading each character. */
function hasManyBrackets(text: string): boolean {
  if (text.length <= 2 * MAX_DEPTH) return false;
  let left = MAX_DEPTH;
  for (const bracket of ["{", "["]) {
    for (let at = text.indexOf(bracket); at >= 0; at = text.indexOf(bracket, at + 1)) {
      if (--left < 0) return true;
    }
  }
  return false;
}

function isNestedTooDeep(text: string): boolean {
  let depth = 0;
  for (let at = 0; at < text.length; at++) {
    switch (text.charCodeAt(at)) {
      case 0x22: // "
        at = endOfString(text, at);
        break;
      case 0x5b: // [
      case 0x7b: // {
        if (++depth > MAX_DEPTH) return true;
        break;
      case 0x5d: // ]
      case 0x7d: // }
        depth--;
    }
  }
  return false;
}

/** Where the string ends that begins with the quote at `start`: at the next quote that is not escaped. */
function endOfString(text: string, start: number): number {
  for (let end = text.indexOf('"', start + 1); end >= 0; end = text.indexOf('"', end + 1)) {
    let backslashes = 0;
    while (text.charCodeAt(end - 1 - backslashes) === 0x5c) backslashes++;
    if (backslashes % 2 === 0) return end;
  }
  return text.length;
}

/**
 * Whether an object is nested deeper than `MAX_DEPTH`; a cycle is. Each level is a set, so that objects with many
 * parents are not visited once for each path.
 */
export function isTooDeep(data: object): boolean {
  let level = new Set([data]);
  for (let depth = 1; depth <= MAX_DEPTH; depth++) {
    const next = new Set<object>();
    for (const container of level) {
      if (ArrayBuffer.isView(container)) continue;
      for (const value of Object.values(container)) {
        if (typeof value === "object" && value !== null) next.add(value);
      }
    }
    if (next.size === 0) return false;
    level = next;
  }
  return true;
}
