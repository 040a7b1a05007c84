import { readFile, rm } from "node:fs/promises";
import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { connect as connectHttp2, createServer as createHttp2Server, createSecureServer } from "node:http2";
import { createServer as createSecureHttpServer } from "node:https";
import type { Socket } from "node:net";
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import compression from "compression";
import { NatsStore } from "connect-nats";
import type { RequestHandler } from "express";
import session from "express-session";
import { beforeAll, describe, expect, type TestContext, test } from "vitest";
import { Authority } from "../support/certificates.js";
import { connectCurrent, newBucket } from "../support/variants.js";
import { changing } from "./support/routes.js";
import { keyOf, Site, setKey } from "./support/site.js";

let tls: { key: Buffer; cert: Buffer };

beforeAll(async () => {
  const authority = await Authority.create();
  const { certFile, keyFile } = await authority.issue("server");
  tls = { key: await readFile(keyFile), cert: await readFile(certFile) };
  return () => rm(authority.folder, { recursive: true });
});

const TEXT = "a text that is worth compressing. ".repeat(200);

const routes: Record<string, RequestHandler> = {
  "/page": changing((_req, res) => void res.send("a page with text")),
  "/redirect": changing((_req, res) => res.redirect("/count")),
  "/text": changing((_req, res) => void res.type("text/plain").send(TEXT)),
  "/count": (req, res) => void res.send(String(keyOf(req, "count"))),
};

describe("a held response of Express", { concurrent: true }, () => {
  test.for([
    ["over TLS", (app: RequestListener) => createSecureHttpServer(tls, app)],
    [
      "over HTTP/1 from a server of HTTP/2",
      (app: RequestListener) => createSecureServer({ ...tls, allowHTTP1: true }, app as never),
    ],
  ] as const)(
    "%s leaves in one write, after the save is answered",
    async ([, listen], { onTestFinished }) => {
      const site = await Site.start(onTestFinished, { routes, listen: listen as never, isSecure: true });
      const client = await site.client(onTestFinished);
      for (const [path, status] of [
        ["/page", 200],
        ["/redirect", 302],
      ] as const) {
        site.ends = 0;
        site.sockets.writes = 0;
        site.holdSaves();
        client.send({ path });
        await site.ended(1);
        expect(site.sockets.writes).toBe(0);
        site.release();
        expect(await client.response()).toMatchObject({ status });
        expect(site.sockets.writes).toBe(1);
        site.sockets.expectReleased();
      }
      expect(await client.get("/count")).toMatchObject({ status: 200, body: "2" });
      expect(site.sockets.count).toBe(1);
    },
  );

  test.for([
    ["before", { before: [compression()] }],
    ["after", { after: [compression()] }],
  ] as const)(
    "is compressed where compression comes %s the session",
    async ([, handlers], { onTestFinished }) => {
      const site = await Site.start(onTestFinished, { routes, ...handlers });
      const client = await site.client(onTestFinished);
      const headers = { "Accept-Encoding": "gzip" };
      site.holdSaves();
      client.send({ path: "/text", headers });
      await site.ended(1);
      site.release();
      const response = await client.response();
      expect(response.headers.get("content-encoding")).toBe("gzip");
      const unpacked = await promisify(gunzip)(Buffer.from(response.body, "latin1"));
      expect(unpacked.toString()).toBe(TEXT);
      await site.turn();
      site.sockets.expectReleased();
      // Too short to be compressed: it is held as without compression.
      site.ends = 0;
      site.sockets.writes = 0;
      site.holdSaves();
      client.send({ path: "/redirect", headers });
      await site.ended(1);
      site.release();
      expect(await client.response()).toMatchObject({ status: 302 });
      expect(site.sockets.writes).toBe(1);
      site.sockets.expectReleased();
      expect(await client.get("/count", { headers })).toMatchObject({ status: 200, body: "2" });
      expect(site.sockets.count).toBe(1);
      expect(site.failures).toEqual([]);
    },
  );
});

/** A listener without Express: the session's middleware, then an answer. */
async function bareListener(
  defer: TestContext["onTestFinished"],
  prepare: (req: IncomingMessage, res: ServerResponse) => void,
): Promise<RequestListener> {
  const nc = await connectCurrent();
  defer(() => nc.close());
  const store = await NatsStore.open(nc, { bucket: newBucket(), timeout: 30_000 });
  defer(() => store.close());
  const middleware = session({ store, secret: "a secret", resave: false, saveUninitialized: false });
  return (req, res) => {
    prepare(req, res);
    middleware(req as never, res as never, (error: unknown) => {
      const request = req as unknown as { session: object };
      const count = Number(keyOf(request, "count") ?? 0) + 1;
      setKey(request, "count", count);
      const body = error ? String(error) : `visit ${count}`;
      res.setHeader("Content-Length", body.length);
      res.end(body);
    });
  };
}

/** express-session calls a method of the response that only HTTP/1 has. */
function speakHttp2(_req: IncomingMessage, res: ServerResponse): void {
  Object.assign(res, { _implicitHeader: () => void res.writeHead(res.statusCode) });
}

describe("a response without Express", { concurrent: true }, () => {
  test("comes whole over HTTP/1", async ({ onTestFinished }) => {
    const server = createServer(await bareListener(onTestFinished, () => {}));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`;
    const first = await fetch(url);
    expect(await first.text()).toBe("visit 1");
    const cookie = first.headers.get("set-cookie")?.split(";")[0] ?? "";
    expect(await (await fetch(url, { headers: { cookie } })).text()).toBe("visit 2");
  });

  test.for([
    ["as it is", speakHttp2],
    [
      "that is known as `req.res`",
      (req: IncomingMessage, res: ServerResponse) => {
        speakHttp2(req, res);
        Object.assign(req, { res });
      },
    ],
  ] as const)("over HTTP/2, %s, leaves its connection uncorked", async ([, prepare], { onTestFinished }) => {
    const server = createHttp2Server((await bareListener(onTestFinished, prepare)) as never);
    const sockets: Socket[] = [];
    server.on("connection", (socket) => sockets.push(socket));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void server.close());
    const client = connectHttp2(`http://127.0.0.1:${(server.address() as { port: number }).port}`);
    onTestFinished(() => client.close());
    const get = async (cookie?: string) => {
      const stream = client.request({ ":path": "/", ...(cookie && { cookie }) });
      let setCookie: string | undefined;
      stream.on("response", (headers) => {
        setCookie = headers["set-cookie"]?.[0]?.split(";")[0];
      });
      const body = (await stream.setEncoding("utf8").toArray()).join("");
      return { body, cookie: setCookie };
    };
    const first = await get();
    expect(first.body).toBe("visit 1");
    // Streams of one connection at a time, which all save.
    const bodies = await Promise.all([1, 2, 3].map(async () => (await get(first.cookie)).body));
    expect(bodies.every((body) => /^visit \d$/.test(body))).toBe(true);
    expect(sockets.map(({ writableCorked }) => writableCorked)).toEqual([0]);
  });
});
