import { NatsStore } from "connect-nats";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Connection, connectCurrent, newBucket } from "../support/variants.js";
import { stopApps } from "./support/app.js";
import { type ExpressVisit, expressFramework } from "./support/express.js";

let nc: Connection;
let store: NatsStore;

beforeAll(async () => {
  nc = await connectCurrent();
  store = await NatsStore.open(nc, { bucket: newBucket(), timeout: 30_000, touchAfter: 0 });
});

afterAll(async () => {
  await stopApps();
  await store.close();
  await nc.close();
});

/** An application with a store object of its own over the shared store. */
const start = (settings: Parameters<typeof expressFramework.start>[1]) =>
  expressFramework.start(new NatsStore(store.sessions), settings);

const whoAmI = ({ session }: ExpressVisit) => session.user;

/** Cookies as a program could have stored them that is none of express-session. */
const STORED: Record<string, unknown>[] = [
  { sameSite: 5 },
  { sameSite: "sideways" },
  { sameSite: {} },
  { domain: "a b;\r\nSet-Cookie: x=y" },
  { domain: 7 },
  { path: "/;\n" },
  { path: {} },
  { path: ["/"] },
  { priority: "now" },
  { expires: "junk" },
  { expires: {} },
  { expires: true },
  { maxAge: "a day" },
  { maxAge: {} },
  { originalMaxAge: "a day" },
  { originalMaxAge: {} },
  { originalMaxAge: [] },
  { originalMaxAge: true },
  { _expires: "junk" },
  { toJSON: 1 },
  { serialize: "no function" },
  { data: 1 },
  { encode: "no function" },
  { partitioned: "yes" },
  { httpOnly: {} },
];

describe("a stored session whose cookie has an invalid attribute", { concurrent: true }, () => {
  test.for(STORED)("%j is read, changed and renewed", async (attributes) => {
    const app = await start({ maxAge: 60_000, rolling: true });
    const id = `stored-${JSON.stringify(attributes)}`.replaceAll(/[^a-z]/gi, "-");
    await store.sessions.save(id, { cookie: { path: "/", ...attributes }, user: "ada" } as never);
    const ada = app.visitor().with(expressFramework.cookiesOf(id));
    expect(await ada.visit(whoAmI)).toMatchObject({
      status: 200,
      result: "ada",
      setCookie: [expect.any(String)],
    });
    const changed = await ada.visit(({ session }) => {
      session.n = 1;
    });
    expect(changed).toMatchObject({ status: 200, setCookie: [expect.any(String)] });
    expect(await ada.visit(({ session }) => [session.user, session.n])).toMatchObject({ result: ["ada", 1] });
    expect(app.failures).toEqual([]);
  });

  test.for([{ cookie: null }, { cookie: 5 }, { cookie: "path=/" }, { cookie: [] }, {}])(
    "%j has no cookie, which is an error for each request",
    async (data) => {
      const app = await start({ maxAge: 60_000 });
      const id = `no-cookie-${JSON.stringify(data)}`;
      await store.sessions.save(id, data as never);
      const ada = app.visitor().with(expressFramework.cookiesOf(id));
      for (const _ of [1, 2]) {
        expect(await ada.visit(whoAmI)).toMatchObject({ status: 500, code: "ERR_SESSION_CORRUPT" });
      }
    },
  );
});
