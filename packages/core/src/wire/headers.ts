import type { MsgHdrs } from "@nats-io/nats-core";

const VERSION = "NATS/1.0";

/**
 * Headers to send. Of the headers they are given both generations of the client want nothing but `encode()`;
 * their own class checks each name and value letter by letter, which takes longer than all else that the client
 * does for a write. Names and values here are ours, never the user's.
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
  /** The last value: what the server tells of a message comes after the headers of whoever wrote it. */
  last(name: string): string;
}

/** A header block as it stands in a message: a line with the version and perhaps a status, then a header a line (ADR-4). */
export class HeaderBlock implements Headers {
  readonly #block: string;

  constructor(block: string) {
    this.#block = block;
  }

  get code(): number {
    return Number.parseInt(this.#status, 10) || 0;
  }

  get description(): string {
    return this.#status.replace(/^\d+/, "").trim();
  }

  get(name: string): string {
    return this.#valueAt(this.#block.indexOf(`\r\n${name}:`), name);
  }

  last(name: string): string {
    return this.#valueAt(this.#block.lastIndexOf(`\r\n${name}:`), name);
  }

  #valueAt(start: number, name: string): string {
    if (start < 0) return "";
    const from = start + name.length + 3;
    return this.#block.slice(from, this.#block.indexOf("\r\n", from)).trim();
  }

  get #status(): string {
    return this.#block.slice(VERSION.length, this.#block.indexOf("\r\n")).trim();
  }
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
export function headersOf(message: { readonly headers?: MsgHdrs | undefined }): Headers | undefined {
  const { _rdata: bytes, _msg: info } = message as Internals;
  const length = info?.hdr;
  if (bytes instanceof Uint8Array && typeof length === "number" && length > 0) {
    const block = textOf(bytes.subarray(0, length), "latin1");
    if (block.startsWith(VERSION) && block.endsWith("\r\n\r\n")) return new HeaderBlock(block);
  }
  return message.headers;
}

/** The text in some bytes, which are not copied for it. */
export function textOf(bytes: Uint8Array, encoding: BufferEncoding = "utf8"): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString(encoding);
}
