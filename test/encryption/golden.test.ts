import { createDecipheriv, createHmac, hkdfSync } from "node:crypto";
import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { openPatient } from "../support/patient.js";
import { newBucket, variants } from "../support/variants.js";
import { RawBucket } from "./stored.js";

interface Golden {
  readonly key: { readonly id: string; readonly key: string };
  readonly user: string;
  readonly session: {
    readonly id: string;
    readonly key: string;
    readonly headers: Record<string, string>;
    /** In base64. */
    readonly value: string;
    readonly data: unknown;
  };
}

/** A promise to everybody who has encrypted sessions stored: these tests may be added to and never changed. */
describe("the encrypted entry of format 1", () => {
  let golden: Golden;
  beforeAll(async () => {
    const file = new URL("../core/golden-encrypted-1.json", import.meta.url);
    golden = JSON.parse(await readFile(file, "utf8"));
  });

  it.each(variants())("is read over $name", async ({ connect }) => {
    const nc = await connect();
    const bucket = newBucket();
    const { key, user, session } = golden;
    const store = await openPatient(nc, {
      bucket,
      maxTtl: 36_500 * 86_400_000,
      encryption: { keys: [key], allowPlain: false },
      user: ({ user }: { user?: string }) => user,
    });
    const value = Buffer.from(session.value, "base64");
    await new RawBucket(nc, bucket).put(session.key, { headers: session.headers, value });
    expect(`s.${store.handleOf(session.id)}`).toBe(session.key);
    expect(store.ownerOf(user)).toBe(session.headers["Session-Owner"]);
    const record = await store.load(session.id);
    expect(record).toMatchObject({
      data: session.data,
      createdAt: Number(session.headers["Session-Created"]),
    });
    const saved = await store.save(session.id, { ...record?.data, visits: 8 }, { record: record as never });
    expect(saved.outcome).toBe("saved");
    expect(await store.destroy(session.id)).toBe(true);
    await store.close();
    await nc.close();
  });

  it("is made as DESIGN.md says", () => {
    const { key, user, session } = golden;
    const { headers } = session;
    const bytes = Buffer.from(key.key, "base64");
    const subkey = (purpose: string) =>
      Buffer.from(hkdfSync("sha256", bytes, "", `nats-session-store 1 ${purpose}`, 32));
    const name = (text: string) => createHmac("sha256", subkey("names")).update(text).digest("base64url");
    expect(session.key).toBe(`s.${name(`session 8:${session.id}`)}`);
    expect(headers["Session-Owner"]).toBe(name(`user 8:${user}`));
    const names = ["Format", "Created", "Expires", "Write", "Owner", "Index"].map(
      (part) => `Session-${part}`,
    );
    const bound = [session.key, "", ...names.map((part) => `${part}: ${headers[part]}`), key.id].join("\n");
    const value = Buffer.from(session.value, "base64");
    const decipher = createDecipheriv("aes-256-gcm", subkey("values"), value.subarray(0, 12));
    decipher.setAAD(Buffer.from(bound)).setAuthTag(value.subarray(12, 28));
    const opened = Buffer.concat([decipher.update(value.subarray(28)), decipher.final()]).toString();
    expect(JSON.parse(opened)).toEqual(session.data);
  });
});
