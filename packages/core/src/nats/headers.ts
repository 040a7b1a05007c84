const VERSION = "NATS/1.0";

export type Header = readonly [name: string, value: string];

/**
 * The reason makes it a tombstone for the server too, which would otherwise announce an expiry when the tombstone's
 * own time to live is over (ADR-43, tried on 2.14 and 2.15).
 */
export const DELETED: readonly Header[] = [
  ["KV-Operation", "DEL"],
  ["Nats-Marker-Reason", "Remove"],
];

/**
 * Headers to send. Of the headers they are given both generations of the client want nothing but `encode()`;
 * their own class checks each name and value letter by letter, which takes longer than the rest of a write. Names and values here are ours, never the user's.
 */
export class HeadersToSend {
  #block = `${VERSION}\r\n`;

  add(name: string, value: string): void {
    this.#block += `${name}: ${value}\r\n`;
  }

  /** Bytes that they will take. */
  get size(): number {
    return this.#block.length + 2;
  }

  encode(): Uint8Array {
    return Buffer.from(`${this.#block}\r\n`, "latin1");
  }
}

/** What is needed of the headers of a received message. */
export interface Headers {
  /** The status, 0 when there is none. */
  readonly code: number;
  readonly description: string;
  /** The first value of a header, or an empty string. */
  get(name: string): string;
  /** The last value: what the server tells of a message comes after the headers of the client that wrote it. */
  last(name: string): string;
  /** The names, where the client gave the headers. */
  keys?(): string[];
}

/** Headers with which the server or the clients of NATS do something. */
const RESERVED = ["Nats-", "KV-"] as const;
const N = 78;
const K = 75;

const CR = 13;
const LINE_END = "\r\n";

/** A text that is put together for each search has to be made flat each time, so the few names are kept. */
const needles = new Map<string, string>();

function needleOf(name: string): string {
  let needle = needles.get(name);
  if (needle === undefined) {
    needle = `\r\n${name}:`;
    needles.set(name, needle);
  }
  return needle;
}

/** A header block as it stands in a message: a line with the version and perhaps a status, then a header a line (ADR-4). */
export class HeaderBlock implements Headers {
  readonly #block: string;

  constructor(block: string) {
    this.#block = block;
  }

  get code(): number {
    // Nearly every block has no status.
    if (this.#block.charCodeAt(VERSION.length) === CR) return 0;
    return Number.parseInt(this.#status, 10) || 0;
  }

  get description(): string {
    return this.#status.replace(/^\d+/, "").trim();
  }

  get(name: string): string {
    const needle = needleOf(name);
    return this.#valueAfter(this.#block.indexOf(needle), needle);
  }

  last(name: string): string {
    const needle = needleOf(name);
    return this.#valueAfter(this.#block.lastIndexOf(needle), needle);
  }

  /** See `ownHeaders`. The lines are counted first, which makes no texts. */
  own(expected: number): Own {
    const block = this.#block;
    let count = 0;
    for (let at = block.indexOf(LINE_END) + 2; at < block.length - 2; at = block.indexOf(LINE_END, at) + 2) {
      if (!isReserved(block, at)) count++;
    }
    return count === expected ? undefined : this.#allOwn();
  }

  #allOwn(): Own {
    const lines = this.#block.split(LINE_END).slice(1, -2);
    return lines.flatMap((line) => {
      const end = line.indexOf(":");
      const name = line.slice(0, end);
      return end <= 0 || isReserved(name) ? [] : [[name, line.slice(end + 1).trim()] as const];
    });
  }

  #valueAfter(start: number, needle: string): string {
    if (start < 0) return "";
    const from = start + needle.length;
    return this.#block.slice(from, this.#block.indexOf("\r\n", from)).trim();
  }

  get #status(): string {
    return this.#block.slice(VERSION.length, this.#block.indexOf("\r\n")).trim();
  }
}

type Own = readonly (readonly [name: string, value: string])[] | undefined;

/** Whether a name that begins here in a text is one of NATS' own. */
function isReserved(text: string, at = 0): boolean {
  const first = text.charCodeAt(at);
  if (first === N) return text.startsWith(RESERVED[0], at);
  return first === K && text.startsWith(RESERVED[1], at);
}

/**
 * What the application that stored a message wrote into its headers, in order.
 * @param expected how many there should be: nothing is given where there are as many
 */
export function ownHeaders(headers: Headers, expected: number): Own {
  if (headers instanceof HeaderBlock) return headers.own(expected);
  const names = (headers.keys?.() ?? []).filter((name) => !isReserved(name));
  return names.length === expected ? undefined : names.map((name) => [name, headers.get(name)]);
}

/** Where both generations of the client keep the bytes of a message, though neither declares it. */
interface Internals {
  readonly _rdata?: unknown;
  readonly _msg?: { readonly hdr?: unknown };
}

/**
 * The headers of a received message, from its bytes where they are found, else as the client gives them: the
 * client splits and checks all lines, which takes a multiple of the few searches that are needed.
 */
export function headersOf(message: { readonly headers?: Headers | undefined }): Headers | undefined {
  const { _rdata: bytes, _msg: info } = message as Internals;
  const length = info?.hdr;
  if (bytes instanceof Uint8Array && typeof length === "number" && length > 0) {
    const block = Buffer.isBuffer(bytes)
      ? bytes.toString("latin1", 0, length)
      : textOf(bytes.subarray(0, length), "latin1");
    if (block.startsWith(VERSION) && block.endsWith("\r\n\r\n")) return new HeaderBlock(block);
  }
  return message.headers;
}

/** Whether a received message has more than headers. */
export function hasData(message: { readonly data: Uint8Array }): boolean {
  const { _rdata: bytes, _msg: info } = message as Internals;
  const length = info?.hdr;
  if (bytes instanceof Uint8Array && typeof length === "number") return bytes.length > Math.max(0, length);
  return message.data.length > 0;
}

/** The text in some bytes, which are not copied for it. */
export function textOf(bytes: Uint8Array, encoding: BufferEncoding = "utf8"): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding);
}
