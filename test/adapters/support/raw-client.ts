import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { TestContext } from "vitest";
import { until } from "../../support/wait.js";

/** A response as it came, byte by byte. */
export interface RawResponse {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: string;
}

interface RawRequest {
  readonly path: string;
  readonly method?: "GET" | "HEAD" | undefined;
  readonly headers?: Readonly<Record<string, string>> | undefined;
}

/** One connection of a browser, which keeps its session cookie. It sends requests without waiting for responses. */
export class RawClient {
  /** Sent with each request, as `name=value`. */
  cookie = "";
  readonly #socket: Socket;
  readonly #asked: RawRequest[] = [];
  readonly #responses: RawResponse[] = [];

  #received = Buffer.alloc(0);
  #read = 0;
  #isClosed = false;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("data", (data) => this.#take(data));
    socket.on("error", () => {});
    socket.on("close", () => {
      this.#isClosed = true;
    });
  }

  static async open(
    port: number,
    defer: TestContext["onTestFinished"],
    { tls = false }: { tls?: boolean | undefined } = {},
  ): Promise<RawClient> {
    const at = { port, host: "127.0.0.1" };
    const socket = tls ? connectTls({ ...at, rejectUnauthorized: false }) : connect(at);
    defer(() => void socket.destroy());
    await once(socket, tls ? "secureConnect" : "connect");
    return new RawClient(socket);
  }

  /** What has come and belongs to no whole response yet. */
  get unread(): string {
    return this.#received.toString("latin1");
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Sends requests in one go. */
  send(...requests: RawRequest[]): void {
    this.#asked.push(...requests);
    this.#socket.write(requests.map((request) => this.#textOf(request)).join(""));
  }

  /** The next response that was not read yet. */
  async response(): Promise<RawResponse> {
    const at = this.#read++;
    await until("a whole response", () => this.#responses.length > at || this.#isClosed);
    const response = this.#responses[at];
    if (!response) throw new Error(`The connection ended in the middle of: ${this.unread}`);
    return response;
  }

  async get(path: string, request: Omit<RawRequest, "path"> = {}): Promise<RawResponse> {
    this.send({ path, ...request });
    return this.response();
  }

  /** Breaks the connection, as a browser does that leaves the page. */
  abort(): void {
    this.#socket.resetAndDestroy();
  }

  #textOf({ path, method = "GET", headers = {} }: RawRequest): string {
    const cookie: Record<string, string> = this.cookie === "" ? {} : { Cookie: this.cookie };
    const lines = Object.entries({ Host: "localhost", ...cookie, ...headers });
    return `${method} ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`;
  }

  #take(data: Buffer): void {
    this.#received = Buffer.concat([this.#received, data]);
    for (;;) {
      const { method } = this.#asked[this.#responses.length] ?? {};
      const found = parse(this.#received, method === "HEAD");
      if (!found) return;
      this.#received = this.#received.subarray(found.length);
      this.#responses.push(found.response);
      const cookie = found.response.headers.get("set-cookie")?.split(";")[0];
      if (cookie !== undefined) this.cookie = cookie;
    }
  }
}

function parse(bytes: Buffer, isHead: boolean): { response: RawResponse; length: number } | undefined {
  const end = bytes.indexOf("\r\n\r\n");
  if (end < 0) return undefined;
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const headers = new Map(
    lines.map((line) => [
      line.slice(0, line.indexOf(":")).toLowerCase(),
      line.slice(line.indexOf(":") + 1).trim(),
    ]),
  );
  const status = Number(first.split(" ")[1]);
  const start = end + 4;
  const whole = (body: string, length: number) => ({ response: { status, headers, body }, length });
  if (isHead || status === 204 || status === 304) return whole("", start);
  if (headers.get("transfer-encoding") === "chunked") return parseChunks(bytes, start, whole);
  const length = Number(headers.get("content-length"));
  if (bytes.length < start + length) return undefined;
  return whole(bytes.toString("latin1", start, start + length), start + length);
}

function parseChunks<R>(
  bytes: Buffer,
  start: number,
  whole: (body: string, length: number) => R,
): R | undefined {
  let body = "";
  for (let at = start; ; ) {
    const line = bytes.indexOf("\r\n", at);
    if (line < 0) return undefined;
    const size = Number.parseInt(bytes.toString("latin1", at, line), 16);
    const next = line + 2 + size + 2;
    if (bytes.length < next) return undefined;
    if (size === 0) return whole(body, next);
    body += bytes.toString("latin1", line + 2, line + 2 + size);
    at = next;
  }
}
