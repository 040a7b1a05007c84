import { encodeSession, type SessionMetadata } from "./metadata.js";

/**
 * What an encrypted value is bound to: its key in the bucket and all headers of the store, those of later versions
 * too. With any part exchanged the value does not open. The value of a header that this version does not know may
 * hold a line feed, but no carriage return before it.
 */
export function boundTo(key: string, { others = [], ...known }: SessionMetadata): string {
  let bound = key;
  for (const [name, value] of encodeSession(known)) bound += `\n${name}: ${value}`;
  const later = others.filter(([name]) => name.startsWith("Session-"));
  return (
    bound +
    later
      .map(([name, value]) => `\r\n${name}: ${value}`)
      .sort()
      .join("")
  );
}
