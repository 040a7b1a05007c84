import { NatsStore } from "connect-nats";
import { describe, expect, test } from "vitest";
import { until } from "../support/wait.js";
import { routes } from "./support/routes.js";
import { Site } from "./support/site.js";

interface Expected {
  readonly path: string;
  readonly method: "GET" | "HEAD";
  readonly headers?: Readonly<Record<string, string>>;
  readonly status: number;
  readonly body: string;
}

/** What each of the paths is answered with. */
const RESPONSES: Expected[] = [
  { method: "GET", path: "/page", status: 200, body: "a page with text" },
  { method: "GET", path: "/empty", status: 200, body: "" },
  { method: "GET", path: "/redirect", status: 302, body: "Found. Redirecting to /count" },
  { method: "GET", path: "/bare-redirect", status: 302, body: "" },
  { method: "GET", path: "/no-content", status: 204, body: "" },
  { method: "GET", path: "/twice", status: 200, body: "a page with text" },
  { method: "HEAD", path: "/page", status: 200, body: "" },
  { method: "GET", path: "/unchanged", headers: { "If-None-Match": '"1"' }, status: 304, body: "" },
];

describe("a response of Express whose session is saved", { concurrent: true }, () => {
  test.for(RESPONSES)(
    "to $method $path with status $status leaves in one segment, after the save is answered",
    async ({ path, method, headers, status, body }, { onTestFinished }) => {
      const site = await Site.start(onTestFinished, { routes });
      const client = await site.client(onTestFinished);
      site.holdSaves();
      client.send({ path, method, headers });
      await site.ended(1);
      expect(site.sockets.writes).toBe(0);

      site.release();
      expect(await client.response()).toMatchObject({ status, body });
      expect(site.sockets.writes).toBe(1);
      site.sockets.expectReleased();
      // The connection is kept alive, and the next request finds the session stored.
      expect(await client.get("/count")).toMatchObject({ status: 200, body: "1" });
      expect(site.sockets.count).toBe(1);
      expect(site.failures).toEqual([]);
    },
  );

  test("leaves in one segment whatever its length", async ({ onTestFinished }) => {
    const site = await Site.start(onTestFinished, { routes });
    const client = await site.client(onTestFinished);
    site.holdSaves();
    client.send({ path: "/large" });
    await site.ended(1);
    expect(site.sockets.writes).toBe(0);
    site.release();
    expect((await client.response()).body).toHaveLength(500_000);
    expect(site.sockets.writes).toBe(1);
    site.sockets.expectReleased();
  });

  test("leaves in one segment also where the session is only renewed", async ({ onTestFinished }) => {
    const site = await Site.start(onTestFinished, { routes, store: { touchAfter: 0 } });
    const client = await site.client(onTestFinished);
    site.holdSaves();
    client.send({ path: "/count" });
    await site.ended(1);
    expect(site.sockets.writes).toBe(0);
    site.release();
    expect(await client.response()).toMatchObject({ status: 200, body: "undefined" });
    expect(site.sockets.writes).toBe(1);
    site.sockets.expectReleased();
  });

  test("leaves in one segment before the connection is closed that the client does not keep", async ({
    onTestFinished,
  }) => {
    const site = await Site.start(onTestFinished, { routes });
    const client = await site.client(onTestFinished);
    site.holdSaves();
    client.send({ path: "/page", headers: { Connection: "close" } });
    await site.ended(1);
    site.release();
    expect(await client.response()).toMatchObject({ status: 200, body: "a page with text" });
    await until("the connection to be closed", () => client.isClosed);
    expect(site.sockets.writes).toBe(1);
    site.sockets.expectReleased();
  });

  test("leaves whole when the save fails, and the error reaches the error handler once", async ({
    onTestFinished,
  }) => {
    const site = await Site.start(onTestFinished, { routes });
    const client = await site.client(onTestFinished);
    expect(await client.get("/too-large")).toMatchObject({ status: 200, body: "a page with text" });
    expect(site.sockets.writes).toBe(1);
    await until("the error", () => site.failures.length > 0);
    site.sockets.expectReleased();
    expect(await client.get("/count")).toMatchObject({ status: 200, body: "undefined" });
    expect(site.failures).toEqual([
      { error: expect.objectContaining({ code: "ERR_SESSION_TOO_LARGE" }), headersSent: true },
    ]);
  });

  test("leaves whole when the save takes its whole timeout", async ({ onTestFinished }) => {
    const site = await Site.start(onTestFinished, { routes, store: { timeout: 2000 } });
    const client = await site.client(onTestFinished);
    site.holdSaves();
    client.send({ path: "/page" });
    await site.ended(1);
    expect(site.sockets.writes).toBe(0);
    expect(await client.response()).toMatchObject({ status: 200, body: "a page with text" });
    await until("the error", () => site.failures.length > 0);
    site.sockets.expectReleased();
    site.release();
    await until("the link to work again", async () => (await client.get("/count")).status === 200);
    expect(site.failures[0]).toEqual({
      error: expect.objectContaining({ code: "ERR_SESSION_UNAVAILABLE" }),
      headersSent: true,
    });
  });

  test("is given up with its connection, and the session is stored", async ({ onTestFinished }) => {
    const site = await Site.start(onTestFinished, { routes });
    const client = await site.client(onTestFinished);
    site.holdSaves();
    client.send({ path: "/page" });
    await site.ended(1);
    client.abort();
    await until("the server to notice", () => site.sockets.open === 0);
    site.release();
    const again = await site.clientOf(client, onTestFinished);
    expect(await again.get("/count")).toMatchObject({ status: 200, body: "1" });
    site.sockets.expectReleased();
    expect(site.failures).toEqual([]);
  });
});

describe("the option `holdResponse`", { concurrent: true }, () => {
  test.for([false, { most: 0 }, { most: 20 }])(
    "%o lets a response go whose save is not answered",
    async (holdResponse, { onTestFinished }) => {
      const site = await Site.start(onTestFinished, { routes, store: { holdResponse } });
      const client = await site.client(onTestFinished);
      site.holdSaves();
      client.send({ path: "/page" });
      await until("all but the last byte", () => client.unread.endsWith("a page with tex"));
      site.release();
      expect(await client.response()).toMatchObject({ status: 200, body: "a page with text" });
      site.sockets.expectReleased();
      expect(await client.get("/count")).toMatchObject({ body: "1" });
    },
  );

  test("`false` lets a response go at once", async ({ onTestFinished }) => {
    const site = await Site.start(onTestFinished, { routes, store: { holdResponse: false } });
    const client = await site.client(onTestFinished);
    site.holdSaves();
    client.send({ path: "/redirect" });
    await site.ended(1);
    expect(site.sockets.writes).toBe(1);
    site.release();
    expect(await client.response()).toMatchObject({ status: 302 });
    expect(site.sockets.writes).toBe(2);
    site.sockets.expectReleased();
  });

  test("`{ most }` holds a response until its save is answered, where that comes first", async ({
    onTestFinished,
  }) => {
    const site = await Site.start(onTestFinished, { routes, store: { holdResponse: { most: 600_000 } } });
    const client = await site.client(onTestFinished);
    site.holdSaves();
    client.send({ path: "/page" });
    await site.ended(1);
    expect(site.sockets.writes).toBe(0);
    site.release();
    expect(await client.response()).toMatchObject({ status: 200, body: "a page with text" });
    expect(site.sockets.writes).toBe(1);
    site.sockets.expectReleased();
  });

  test.for([
    0,
    "true",
    null,
    {},
    { most: -1 },
    { most: "5" },
    { most: Number.NaN },
    { most: 2 ** 31 },
    { max: 5 },
  ])("%o is a TypeError that names it", (holdResponse) => {
    const options = { holdResponse: holdResponse as never };
    expect(() => new NatsStore(() => new Promise(() => {}), options)).toThrow(TypeError);
    expect(() => new NatsStore(() => new Promise(() => {}), options)).toThrow("`holdResponse`");
  });
});
