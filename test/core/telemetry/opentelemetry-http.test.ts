import { once } from "node:events";
import { createServer, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { type Span, trace } from "@opentelemetry/api";
import { NatsStore } from "connect-nats";
import express from "express";
import session from "express-session";
import Koa from "koa";
import koaSession from "koa-session";
import { NatsStore as KoaStore } from "koa-session-nats";
import type { SessionStoreOptions } from "nats-session-store";
import { describe, expect, it, onTestFinished } from "vitest";
import { type Connection, connectCurrent, newBucket } from "../../support/variants.js";
import { until } from "../../support/wait.js";
import { exporter, spansOf, start } from "./tracing.js";

const SECRET = "a secret";

/** An application whose requests have a span each, and store a number in their session. */
const applications = {
  Express: (nc: Connection, options: SessionStoreOptions) => {
    const store = new NatsStore(nc, options);
    const app = express();
    app.use((req, res, next) => inSpan(String(req.query.n), res, next));
    app.use(session({ secret: SECRET, resave: false, saveUninitialized: true, store }));
    app.get("/", (req, res) => {
      Object.assign(req.session, { n: req.query.n });
      res.send(store.sessions.handleOf(req.sessionID));
    });
    return { store, app };
  },
  Koa: (nc: Connection, options: SessionStoreOptions) => {
    const store = new KoaStore(nc, options);
    const app = new Koa({ keys: [SECRET] });
    app.use((ctx, next) => inSpan(String(ctx.query.n), ctx.res, next));
    app.use(async (ctx, next) => {
      await next();
      // A new session has its key once it is stored.
      ctx.body = store.sessions.handleOf(ctx.session?.externalKey as string);
    });
    app.use(koaSession({ store }, app));
    app.use((ctx) => {
      Object.assign(ctx.session as object, { n: ctx.query.n });
    });
    return { store, app: app.callback() };
  },
};

function cookiesOf(response: Response): string {
  return response.headers
    .getSetCookie()
    .map((cookie) => cookie.split(";")[0])
    .join("; ");
}

function inSpan<R>(n: string, res: ServerResponse, next: () => R): R {
  return trace.getTracer("test").startActiveSpan(`request ${n}`, (span: Span) => {
    res.on("close", () => span.end());
    return next();
  });
}

describe.each(Object.entries(applications))("with %s over HTTP", (_name, application) => {
  async function serve(): Promise<{ store: NatsStore | KoaStore; address: string }> {
    const nc = await connectCurrent();
    const { store, app } = application(nc, { bucket: newBucket(), timeout: 30_000 });
    await store.ready();
    const server: Server = createServer(app).listen(0, "127.0.0.1");
    onTestFinished(async () => {
      server.closeAllConnections();
      server.close();
      await store.close();
      await nc.close();
    });
    await once(server, "listening");
    return { store, address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/` };
  }

  it("each span of the store is a child of its own request's span, of requests at a time too", async () => {
    start();
    const { store, address } = await serve();
    const { bucket } = store.sessions;
    const visit = async (n: number, cookie?: string) => {
      const response = await fetch(`${address}?n=${n}`, cookie ? { headers: { cookie } } : {});
      return { handle: await response.text(), cookie: cookiesOf(response) };
    };
    const count = 20;
    const visitors = Array.from({ length: count }, (_, n) => n);
    const first = await Promise.all(visitors.map((n) => visit(n)));
    const second = await Promise.all(visitors.map((n) => visit(count + n, first[n]?.cookie)));
    await until("the spans of all requests", () => spansOf(bucket).length >= 3 * count);
    const requests = new Map<string, number>();
    await until("the spans of the requests themselves", () => {
      for (const span of exporter.getFinishedSpans()) {
        const [what, n] = span.name.split(" ");
        if (what === "request") requests.set(span.spanContext().spanId, Number(n));
      }
      return requests.size === 2 * count;
    });
    const seen = spansOf(bucket).map(({ attributes, parentSpanContext }) => {
      const n = requests.get(parentSpanContext?.spanId ?? "") as number;
      return `${n} ${attributes["db.operation.name"]} ${attributes["nats.session.handle"]}`;
    });
    const expected = [
      ...first.map(({ handle }, n) => `${n} save ${handle}`),
      ...second.flatMap(({ handle }, n) => [`${count + n} load ${handle}`, `${count + n} save ${handle}`]),
    ];
    expect(seen.sort()).toEqual(expected.sort());
    for (const [n, { handle }] of second.entries()) expect(handle).toBe(first[n]?.handle);
  });
});
