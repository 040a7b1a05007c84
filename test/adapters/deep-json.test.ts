import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { jetstreamManager } from "@nats-io/jetstream";
import { describe, expect, inject, type TestContext, test } from "vitest";
import { putEntry } from "../support/put-entry.js";
import { connectCurrent, newBucket } from "../support/variants.js";

const PROGRAM = fileURLToPath(new URL("programs/deep-body.mjs", import.meta.url));

/** The ways in which an application puts what a visitor posts into the session. */
const KINDS = [
  "express, at the end",
  "express, save()",
  "express, store.set",
  "express, rotate",
  "koa, at the end",
  "koa, save()",
  "koa, regenerate",
];

const nested = (depth: number) => `{"a":${"[".repeat(depth)}${"]".repeat(depth)}}`;

/** An application in a process of its own, and its visitor. */
class Site {
  readonly #child: ChildProcess;
  readonly #port: number;
  readonly #cookies = new Map<string, string>();
  #failed: (name: string) => void = () => {};

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.#port = port;
    child.on("message", ({ failed }: { failed: string }) => this.#failed(failed));
  }

  static async start(kind: string, defer: TestContext["onTestFinished"], bucket = newBucket()) {
    const child = fork(PROGRAM, [kind, inject("currentServer"), bucket], { execArgv: [] });
    const ended = once(child, "exit");
    defer(async () => {
      if (child.connected) child.disconnect();
      await ended;
    });
    const [{ port }] = (await once(child, "message")) as [{ port: number }];
    return new Site(child, port);
  }

  get isRunning(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  /** Posts JSON. @returns the response's text, or the error where there will be no response */
  keep(json: string): Promise<string> {
    return new Promise((resolve, reject) => {
      this.#failed = resolve;
      this.ask("/keep", json).then(({ text }) => resolve(text), reject);
    });
  }

  async ask(path: string, body?: string): Promise<{ status: number; text: string }> {
    const cookie = [...this.#cookies].map(([name, value]) => `${name}=${value}`).join("; ");
    const init = body === undefined ? {} : { method: "POST", body };
    const headers = { cookie, "content-type": "application/json" };
    const response = await fetch(`http://127.0.0.1:${this.#port}${path}`, { ...init, headers });
    for (const line of response.headers.getSetCookie()) {
      const [pair = ""] = line.split(";");
      this.#cookies.set(pair.slice(0, pair.indexOf("=")), pair.slice(pair.indexOf("=") + 1));
    }
    return { status: response.status, text: await response.text() };
  }
}

describe("JSON of a visitor, kept in the session", () => {
  test.for(KINDS)(
    "%s: 400 levels are stored, and more than 500 never end the process",
    async (kind, { onTestFinished }) => {
      const site = await Site.start(kind, onTestFinished);
      await site.ask("/begin");
      await site.keep(nested(400));
      const stored = { status: 200, text: `ada ${nested(400).length}` };
      expect(await site.ask("/")).toEqual(stored);
      for (const depth of [501, 2500, 4000, 20_000]) {
        await site.keep(nested(depth));
        const next = await site.ask("/");
        // koa-session ends the old session before it stores the new one.
        expect(next).toEqual(kind === "koa, regenerate" ? { ...next, status: 200 } : stored);
        expect(site.isRunning).toBe(true);
      }
    },
  );

  test.for(KINDS)(
    "%s: 600 levels are refused with ERR_SESSION_SERIALIZE",
    async (kind, { onTestFinished }) => {
      const site = await Site.start(kind, onTestFinished);
      await site.ask("/begin");
      const answer = await site.keep(nested(600));
      // express-session has sent its response when it saves at the end.
      if (kind !== "express, at the end") expect(answer).toBe("ERR_SESSION_SERIALIZE");
      expect((await site.ask("/")).status).toBe(200);
    },
  );
});

/** Puts another value into the only session of a bucket, whose own headers stay. */
async function replaceValue(bucket: string, value: string): Promise<void> {
  const nc = await connectCurrent();
  const { streams } = await jetstreamManager(nc as never);
  const message = await streams.getMessage(`KV_${bucket}`, { last_by_subj: `$KV.${bucket}.s.*` });
  if (!message) throw new Error("No session");
  const own = message.header.keys().filter((name) => name.startsWith("Session-"));
  const headers = Object.fromEntries(own.map((name) => [name, message.header.get(name)]));
  await putEntry(nc, bucket, message.subject.slice(`$KV.${bucket}.`.length), value, headers);
  await nc.close();
}

describe("deep JSON that another program has stored", () => {
  test.for(
    [600, 2500, 50_000].flatMap((depth) =>
      ["express, at the end", "koa, at the end"].map((kind) => ({ depth, kind })),
    ),
  )(
    "$depth levels, $kind: an error for each request, never an end of the process",
    async ({ depth, kind }, { onTestFinished }) => {
      const bucket = newBucket();
      const site = await Site.start(kind, onTestFinished, bucket);
      await site.ask("/begin");
      await replaceValue(bucket, `{"cookie":{},"kept":${nested(depth)}}`);
      for (const _ of [1, 2]) {
        expect(await site.ask("/")).toEqual({ status: 500, text: "ERR_SESSION_CORRUPT" });
        expect(site.isRunning).toBe(true);
      }
    },
  );
});
