import { connect } from "node:net";

const HEADERS_END = "\r\n\r\n";

/**
 * One keep-alive connection that sends one request after the other, at a fraction of what a full HTTP client costs:
 * on two cores the load must not take the application's time. It understands what the applications of the benchmarks
 * answer: a status line, headers, a body with Content-Length.
 */
export class RawConnection {
  #socket;
  #received = "";
  #waiting;

  /** @param {string} url */
  static async open(url) {
    const { hostname, port } = new URL(url);
    const connection = new RawConnection();
    await connection.#connect(hostname, Number(port));
    return connection;
  }

  #connect(host, port) {
    return new Promise((resolve, reject) => {
      this.#socket = connect({ host, port, noDelay: true }, resolve);
      this.#socket.setEncoding("latin1");
      this.#socket.once("error", reject);
      this.#socket.on("error", (error) => this.#waiting?.reject(error));
      this.#socket.on("close", () => this.#waiting?.reject(new Error("The connection was closed")));
      this.#socket.on("data", (text) => this.#onData(text));
    });
  }

  /**
   * @param {string} method
   * @param {string} path
   * @param {string} cookie empty = none
   * @returns {Promise<string>} status line and headers of the answer, which has to be 200
   */
  request(method, path, cookie) {
    return new Promise((resolve, reject) => {
      this.#waiting = { resolve, reject };
      const headers = cookie === "" ? "" : `cookie: ${cookie}\r\n`;
      const length = method === "POST" ? "content-length: 0\r\n" : "";
      this.#socket.write(`${method} ${path} HTTP/1.1\r\nhost: bench\r\n${headers}${length}\r\n`, "latin1");
    });
  }

  close() {
    this.#waiting = undefined;
    this.#socket.destroy();
  }

  #onData(text) {
    this.#received += text;
    const end = this.#received.indexOf(HEADERS_END);
    if (end < 0) return;
    const head = this.#received.slice(0, end);
    const total = end + HEADERS_END.length + lengthIn(head);
    if (this.#received.length < total) return;
    this.#received = this.#received.slice(total);
    const { resolve, reject } = this.#waiting;
    this.#waiting = undefined;
    if (head.startsWith("HTTP/1.1 200 ")) resolve(head);
    else reject(new Error(`The application answered ${head.slice(0, head.indexOf("\r\n"))}`));
  }
}

function lengthIn(head) {
  const at = head.toLowerCase().indexOf("content-length:");
  if (at < 0) throw new Error("The application answered without Content-Length");
  return Number.parseInt(head.slice(at + 15), 10);
}

/** The cookies that an answer sets, as a browser sends them back; a session of Koa may have two. */
export function cookiesIn(head) {
  return [...head.matchAll(/\r\nset-cookie: ([^;\r]+)/gi)].map(([, cookie]) => cookie).join("; ");
}
