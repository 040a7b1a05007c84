import fc from "fast-check";

import { describe, expect, it } from "vitest";
import { changeOf } from "../../packages/core/src/change.js";
import { open, seal } from "../../packages/core/src/encryption.js";
import { resolveEncryption } from "../../packages/core/src/encryption-keys.js";
import { SessionStoreError } from "../../packages/core/src/errors.js";
import { moveOf } from "../../packages/core/src/move.js";
import { boundTo, decodeMetadata } from "../../packages/core/src/record.js";
import { deserialize, jsonSerializer } from "../../packages/core/src/serializer.js";
import { HeaderBlock } from "../../packages/core/src/wire/headers.js";
import { directEntry, leaderEntry, streamState } from "../../packages/core/src/wire/reply.js";
import { encryptionBy } from "../encryption/keys.js";

const seed = Number(process.env.SESSION_TEST_SEED ?? Date.now() % 2 ** 31);
const runs = { numRuns: 1000, seed };

const bytes = fc.uint8Array({ maxLength: 300 });
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string(),
  fc.constantFrom("", "1", "0", "-1", "1e400", "__proto__", "constructor", "[".repeat(5000)),
);

/** Names that mean something, and others. */
const headerName = fc.oneof(
  fc.constantFrom(
    "Session-Format",
    "Session-Created",
    "Session-Expires",
    "Session-Write",
    "Session-Owner",
    "Session-Index",
    "Session-Key",
    "Session-Renamed-To",
    "Session-Renamed-At",
    "KV-Operation",
    "Nats-Marker-Reason",
    "Nats-Subject",
    "Nats-Sequence",
    "Nats-Time-Stamp",
  ),
  fc.string(),
);
const headerValue = fc.oneof(
  anyText,
  fc.constantFrom("1", "create", "destroy", "1763900000000", "1 2 3", "A".repeat(43), "k1", "MaxAge", "DEL"),
);
const block = fc
  .tuple(
    fc.constantFrom("NATS/1.0", "NATS/1.0 404 Message Not Found", "NATS/1.0 503", "HTTP/1.1", ""),
    fc.array(fc.tuple(headerName, headerValue)),
    fc.constantFrom("\r\n\r\n", "\r\n", "", "\n\n"),
  )
  .map(([status, list, end]) => status + list.map(([name, value]) => `\r\n${name}: ${value}`).join("") + end);

/** What is thrown has to be the store's own error, with a code; how much is left to the input. */
function own<R>(work: () => R): R | undefined {
  try {
    return work();
  } catch (error) {
    expect(error).toBeInstanceOf(SessionStoreError);
    expect((error as SessionStoreError).code).toMatch(/^ERR_SESSION_/);
    return undefined;
  }
}

describe(`whatever the input, seed ${seed}`, () => {
  it("metadata are read or refused", () => {
    fc.assert(
      fc.property(fc.dictionary(headerName, headerValue), (list) => {
        const metadata = own(() => decodeMetadata((name) => list[name] ?? ""));
        if (metadata) expect(Number.isSafeInteger(metadata.expiresAt)).toBe(true);
      }),
      runs,
    );
  });

  it("a block of headers gives texts, and a status that is a number", () => {
    fc.assert(
      fc.property(block, headerName, (text, name) => {
        const headers = new HeaderBlock(text);
        expect(headers.get(name)).toBeTypeOf("string");
        expect(headers.last(name)).toBeTypeOf("string");
        expect(Number.isInteger(headers.code)).toBe(true);
        expect(headers.description).toBeTypeOf("string");
      }),
      runs,
    );
  });

  it("an entry in a reply is read or refused, and so are its change and its move", () => {
    fc.assert(
      fc.property(block, bytes, (text, data) => {
        const headers = new HeaderBlock(text);
        const entry = own(() => directEntry({ subject: "x", data, headers: headers as never }));
        if (!entry) return;
        expect(entry.revision).toBeGreaterThan(0);
        own(() => decodeMetadata(entry.header));
        own(() => moveOf(entry));
        const told = { ...entry, key: `s.${"A".repeat(43)}`, sequence: entry.revision };
        const change = own(() => changeOf(told, "s."));
        if (change) expect(change.handle).toBe("A".repeat(43));
        expect(Number.isNaN(entry.writtenAt())).toBe(false);
      }),
      runs,
    );
  });

  it("an answer of JetStream's is read or refused", () => {
    const message = fc.record(
      {
        subject: anyText,
        seq: fc.oneof(fc.integer(), fc.double(), anyText),
        hdrs: fc.oneof(
          anyText,
          block.map((text) => Buffer.from(text).toString("base64")),
        ),
        data: anyText,
        time: anyText,
      },
      { requiredKeys: [] },
    );
    const answer = fc.oneof(
      fc.record({ message }, { requiredKeys: [] }),
      fc.record({ error: fc.record({ code: fc.integer(), err_code: fc.integer(), description: anyText }) }),
      fc.record({ state: fc.record({ last_seq: fc.integer() }), total: fc.integer() }),
      fc.jsonValue(),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          answer.map((value) => JSON.stringify(value) ?? ""),
          anyText,
        ),
        (text) => {
          const reply = { subject: "x", data: Buffer.from(text), headers: undefined };
          own(() => leaderEntry(reply, "KV_x"));
          own(() => streamState(reply, "KV_x"));
        },
      ),
      runs,
    );
  });

  it("a value is a session or refused, and changes no prototype", () => {
    const text = fc.oneof(fc.json(), anyText);
    fc.assert(
      fc.property(
        fc.oneof(
          bytes,
          text.map((value) => Buffer.from(value)),
        ),
        (value) => {
          const data = own(() => deserialize<object>(value, jsonSerializer));
          if (data) expect(data).toBeTypeOf("object");
          expect(Object.keys(Object.prototype)).toEqual([]);
        },
      ),
      runs,
    );
  });

  describe("an encrypted value", () => {
    const encryption = resolveEncryption(encryptionBy("k1", "k2"));
    const metadata = { createdAt: 1, expiresAt: 2, write: "create" } as const;

    it("opens to what was sealed", () => {
      fc.assert(
        fc.property(bytes, anyText, (value, bound) => {
          const { keyId, value: sealed } = seal(encryption, value, bound);
          expect(Buffer.from(open(encryption, keyId, sealed, bound)).equals(value)).toBe(true);
        }),
        runs,
      );
    });

    it("does not open when anything of it was changed", () => {
      fc.assert(
        fc.property(
          bytes,
          fc.nat(),
          fc.integer({ min: 1, max: 255 }),
          fc.boolean(),
          (value, at, by, swap) => {
            const bound = boundTo("s.one", metadata);
            const { keyId, value: sealed } = seal(encryption, value, bound);
            const changed = Buffer.from(sealed);
            if (!swap) changed[at % changed.length] = (changed[at % changed.length] ?? 0) ^ by;
            const elsewhere = swap ? boundTo("s.two", metadata) : bound;
            expect(() => open(encryption, keyId, changed, elsewhere)).toThrow(
              expect.objectContaining({ code: "ERR_SESSION_CORRUPT" }),
            );
          },
        ),
        runs,
      );
    });

    it("that is none is refused", () => {
      const keyId = fc.oneof(fc.constantFrom("k1", "k2", "k3", "", "k 1", "__proto__"), anyText);
      fc.assert(
        fc.property(keyId, bytes, anyText, fc.boolean(), (id, value, bound, withKeys) => {
          const opened = own(() => open(withKeys ? encryption : undefined, id, value, bound));
          if (opened) expect(id).toBe("");
        }),
        runs,
      );
    });
  });
});
