import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { SessionStoreError } from "../../../packages/core/src/errors.js";
import { HeaderBlock } from "../../../packages/core/src/nats/headers.js";
import { directEntry, leaderEntry, streamState } from "../../../packages/core/src/nats/replies.js";
import { subjectsOf } from "../../../packages/core/src/nats/subjects.js";
import { seed } from "../../support/random.js";

const runs = { numRuns: 1000, seed };

const subjects = subjectsOf({ bucket: "x", domain: undefined, apiPrefix: undefined });

const bytes = fc.uint8Array({ maxLength: 300 });
const anyText = fc.oneof(
  fc.string({ unit: "binary" }),
  fc.string(),
  fc.constantFrom("", "1", "0", "-1", "1e400", "__proto__", "constructor", "[".repeat(5000)),
);

/** Names that mean something, and others. */
const headerName = fc.oneof(
  fc.constantFrom("Session-Created", "KV-Operation", "Nats-Subject", "Nats-Sequence", "Nats-Time-Stamp"),
  fc.string(),
);
const block = fc
  .tuple(
    fc.constantFrom("NATS/1.0", "NATS/1.0 404 Message Not Found", "NATS/1.0 503", "HTTP/1.1", ""),
    fc.array(fc.tuple(headerName, fc.oneof(anyText, fc.constantFrom("1", "DEL", "1763900000000")))),
    fc.constantFrom("\r\n\r\n", "\r\n", "", "\n\n"),
  )
  .map(([status, list, end]) => status + list.map(([name, value]) => `\r\n${name}: ${value}`).join("") + end);

/** Runs what may throw nothing but the store's own error, with a code. */
function own<R>(work: () => R): R | undefined {
  try {
    return work();
  } catch (error) {
    expect(error).toBeInstanceOf(SessionStoreError);
    expect((error as SessionStoreError).code).toMatch(/^ERR_SESSION_/);
    return undefined;
  }
}

describe(`whatever a server or an intruder answers (seed ${seed})`, () => {
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

  it("an entry in a reply is read or refused with a code", () => {
    fc.assert(
      fc.property(block, bytes, (text, data) => {
        const headers = new HeaderBlock(text);
        const entry = own(() => directEntry({ subject: "x", data, headers: headers as never }));
        if (!entry) return;
        expect(entry.revision).toBeGreaterThan(0);
        expect(Number.isNaN(entry.writtenAt())).toBe(false);
      }),
      runs,
    );
  });

  it("an answer of JetStream's API is read or refused with a code", () => {
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
    const texts = fc.oneof(
      answer.map((value) => JSON.stringify(value) ?? ""),
      anyText,
    );
    fc.assert(
      fc.property(texts, (text) => {
        const reply = { subject: "x", data: Buffer.from(text), headers: undefined };
        own(() => leaderEntry(reply, subjects));
        own(() => streamState(reply, subjects));
      }),
      runs,
    );
  });

  it("the state of a stream counts where the leader gives it, not where another member gives its own", () => {
    const ask = (cluster: object) => () => {
      const state = { messages: 1, first_seq: 1, last_seq: 1 };
      const data = Buffer.from(JSON.stringify({ created: "1", cluster, state }));
      return streamState({ subject: "x", data, headers: undefined }, subjects);
    };
    const members = (...names: string[]) => names.map((name) => ({ name, current: true }));
    expect(ask({ name: "c", leader: "a", replicas: members("b", "c") })()).toMatchObject({ leader: "a" });
    const unavailable = expect.objectContaining({ code: "ERR_SESSION_UNAVAILABLE" });
    expect(ask({ name: "c", replicas: members("a", "b", "c") })).toThrow(unavailable);
    // It has learned of the leader since it was asked.
    expect(ask({ name: "c", leader: "a", replicas: members("a", "b") })).toThrow(unavailable);
  });

  it("the state of a stream tells another stream from another server, and another election from another answer", () => {
    const ask = (created: string, cluster?: object) => {
      const state = { messages: 1, first_seq: 1, last_seq: 1 };
      const data = Buffer.from(JSON.stringify({ created, cluster, state }));
      const { identity, term } = streamState({ subject: "x", data, headers: undefined }, subjects);
      return { identity, term };
    };
    const of = (raft_group: string, leader: string, leader_since?: string) => ({
      ...{ name: "cluster", raft_group, leader, leader_since },
    });
    const one = ask("1", of("S-one", "a", "9:00"));
    expect(ask("1", of("S-one", "a", "9:00"))).toEqual(one);
    // Servers that were restarted give times of their own.
    expect(ask("2", of("S-one", "b", "9:01")).identity).toBe(one.identity);
    expect(ask("1", of("S-two", "a", "9:00")).identity).not.toBe(one.identity);
    const terms = [one.term, ask("1", of("S-one", "a", "9:02")).term, ask("1", of("S-one", "b")).term];
    expect(new Set(terms).size).toBe(3);
    // A server without a cluster names itself.
    expect(ask("1", { leader: "a" })).toEqual({ identity: "1", term: "" });
    expect(ask("2", { leader: "a" }).identity).toBe("2");
    expect(ask("1")).toEqual({ identity: "1", term: "" });
  });
});
