import type { RequestHandler } from "express";
import { describe, expect, test } from "vitest";
import { until } from "../support/wait.js";
import { Gate } from "./support/gate.js";
import { changing, routes } from "./support/routes.js";
import { Site, setKey } from "./support/site.js";

describe("a stream of Express whose session is saved", { concurrent: true }, () => {
  test("flows while the save is not answered, where its length is not known", async ({ onTestFinished }) => {
    const site = await Site.start(onTestFinished, { routes });
    const client = await site.client(onTestFinished);
    site.holdSaves();
    client.send({ path: "/stream" });
    await until("the stream's chunks", () => client.unread.includes("three"));
    site.release();
    expect(await client.response()).toMatchObject({ status: 200, body: "one two three" });
    site.sockets.expectReleased();
    expect(await client.get("/count")).toMatchObject({ body: "1" });
  });

  test("goes on flowing where it began before `save()`", async ({ onTestFinished }) => {
    const site = await Site.start(onTestFinished, { routes });
    const client = await site.client(onTestFinished);
    site.holdSaves();
    client.send({ path: "/stream-before" });
    await until("what was written before", () => client.unread.endsWith("one "));
    site.release();
    expect(await client.response()).toMatchObject({ status: 200, body: "one two three" });
    site.sockets.expectReleased();
    expect(await client.get("/count")).toMatchObject({ body: "1" });
  });

  test("flows where it begins while `save()` is not answered", async ({ onTestFinished }) => {
    const site = await Site.start(onTestFinished, { routes });
    const client = await site.client(onTestFinished);
    site.holdSaves();
    client.send({ path: "/stream-meanwhile" });
    await until("what was written meanwhile", () => client.unread.includes("one two "));
    site.release();
    expect(await client.response()).toMatchObject({ status: 200, body: "one two three" });
    site.sockets.expectReleased();
  });

  test("flows where it begins when `save()` is answered", async ({ onTestFinished }) => {
    let finish: () => void = () => {};
    const stream: RequestHandler = (req, res) => {
      res.set("Content-Length", "13");
      req.session.save(() => {
        res.write("one ");
        finish = () => res.end("two three");
      });
    };
    const site = await Site.start(onTestFinished, { routes: { ...routes, "/flow": changing(stream) } });
    const client = await site.client(onTestFinished);
    client.send({ path: "/flow" });
    await until("what was written first", () => client.unread.endsWith("one "));
    finish();
    expect(await client.response()).toMatchObject({ status: 200, body: "one two three" });
    site.sockets.expectReleased();
  });

  test.for(["/stream-after", "/stream-during"])("comes whole from %s", async (path, { onTestFinished }) => {
    const site = await Site.start(onTestFinished, { routes });
    const client = await site.client(onTestFinished);
    site.holdSaves();
    client.send({ path });
    await until("the request to wait for its save", () => site.saves === 1);
    site.release();
    expect(await client.response()).toMatchObject({ status: 200, body: "one two three" });
    site.sockets.expectReleased();
    expect(await client.get("/count")).toMatchObject({ body: "1" });
  });
});

test("a save that is answered after its response has left does not let the next response go", async ({
  onTestFinished,
}) => {
  const [first, second] = [new Gate(), new Gate()];
  let answers = 0;
  const serializer = {
    stringify: async (data: object) => {
      await { first, second }[String((data as { waitsAt?: string }).waitsAt)]?.opened;
      return JSON.stringify(data);
    },
    parse: JSON.parse,
  };
  const leave: RequestHandler = (req, res) => {
    setKey(req, "waitsAt", "first");
    res.set("Content-Length", "4");
    req.session.save(() => answers++);
    // Without its session the response has nothing to wait for.
    Reflect.deleteProperty(req, "session");
    res.end("left");
  };
  const stay: RequestHandler = (req, res) => {
    setKey(req, "waitsAt", "second");
    res.send("stayed");
  };
  const site = await Site.start(onTestFinished, {
    routes: { "/leave": leave, "/stay": stay },
    store: { serializer: serializer as never },
  });
  const client = await site.client(onTestFinished);
  client.cookie = "";
  expect(await client.get("/leave")).toMatchObject({ body: "left" });
  site.sockets.writes = 0;
  client.send({ path: "/stay" });
  await site.ended(2);
  first.open();
  await until("the answer to the save", () => answers === 1);
  await site.turn();
  expect(site.sockets.writes).toBe(0);
  second.open();
  expect(await client.response()).toMatchObject({ body: "stayed" });
  expect(site.sockets.writes).toBe(1);
  site.sockets.expectReleased();
});

describe("responses of Express in a pipeline", { concurrent: true }, () => {
  test("that all wait for their save come whole and in order", async ({ onTestFinished }) => {
    const site = await Site.start(onTestFinished, { routes });
    const client = await site.client(onTestFinished);
    site.holdSaves();
    client.send({ path: "/page" }, { path: "/redirect" }, { path: "/empty" });
    await until("the first response to wait", () => site.ends >= 1);
    site.release();
    const all = [await client.response(), await client.response(), await client.response()];
    expect(all.map(({ status }) => status)).toEqual([200, 302, 200]);
    site.sockets.expectReleased();
    expect(await client.get("/count")).toMatchObject({ status: 200 });
    expect(site.failures).toEqual([]);
  });

  test("wait for the one before them, whose handler takes longer", async ({ onTestFinished }) => {
    let finish: () => void = () => {};
    const slow: RequestHandler = (_req, res) => {
      finish = () => res.send("slow");
    };
    const site = await Site.start(onTestFinished, { routes: { ...routes, "/slow": changing(slow) } });
    const client = await site.client(onTestFinished);
    client.send({ path: "/slow" }, { path: "/page" }, { path: "/count" });
    await site.ended(2);
    expect(site.sockets.writes).toBe(0);
    finish();
    const all = [await client.response(), await client.response(), await client.response()];
    expect(all.map(({ body }) => body)).toEqual(["slow", "a page with text", expect.any(String)]);
    site.sockets.expectReleased();
    expect(site.failures).toEqual([]);
  });

  test("of all kinds come whole, in order and leave the connection open", async ({ onTestFinished }) => {
    const site = await Site.start(onTestFinished, { routes, store: { touchAfter: 0 } });
    const client = await site.client(onTestFinished);
    const paths = ["/page", "/stream", "/count", "/redirect", "/stream-before", "/twice", "/stream-during"];
    const many = [...paths, ...paths.toReversed(), "/large", ...paths, "/no-content", "/stream-after"];
    client.send(...many.map((path) => ({ path })));
    for (const path of many) {
      const { status, body } = await client.response();
      expect([path, status]).toEqual([path, expect.toSatisfy((code) => [200, 204, 302].includes(code))]);
      if (path.startsWith("/stream")) expect(body).toBe("one two three");
    }
    await site.ended(many.length);
    site.sockets.expectReleased();
    expect(site.sockets.count).toBe(1);
    expect(site.failures).toEqual([]);
  });
});
