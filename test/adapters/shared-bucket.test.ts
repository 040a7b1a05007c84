import { NatsStore as ExpressStore } from "connect-nats";
import { NatsStore as KoaStore } from "koa-session-nats";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { PATIENCE } from "../support/patient.js";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";

describe("an Express and a Koa application in one bucket", () => {
  let nc: Connection;
  let express: ExpressStore;
  let koa: KoaStore;

  beforeAll(async () => {
    nc = await connectCurrent();
    const bucket = newBucket();
    express = await ExpressStore.open(nc, { bucket, timeout: PATIENCE });
    koa = await KoaStore.open(nc, { bucket, timeout: PATIENCE });
    const cookie = { originalMaxAge: 60_000, path: "/" };
    await express.set("of express", { cookie, user: "ada" } as never);
    await koa.set("of koa", { user: "grace", _maxAge: 60_000 }, 70_000);
  });
  afterAll(async () => {
    await Promise.all([express.close(), koa.close()]);
    await nc.close();
  });

  it("count and list each other's sessions", async () => {
    expect(await express.length()).toBe(2);
    const handles: string[] = [];
    for await (const handle of express.sessions.handles()) handles.push(handle);
    expect(handles.sort()).toEqual(
      [express.sessions.handleOf("of express"), express.sessions.handleOf("of koa")].sort(),
    );
  });

  it("cannot use each other's sessions", async () => {
    await expect(express.get("of koa")).rejects.toMatchObject({ code: "ERR_SESSION_CORRUPT" });
    expect(await express.all()).toMatchObject([{ user: "ada" }]);
  });

  it("can end each other's sessions", async () => {
    await koa.destroy("of express");
    expect(await express.get("of express")).toBeNull();
  });
});
