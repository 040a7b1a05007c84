import { createHash, randomUUID } from "node:crypto";
import { describe, expect, it } from "vitest";
import { handleOf } from "../../../packages/core/src/format/keys.js";
import { inShard, MOST_SHARDS, shardOf } from "../../../packages/core/src/format/shards.js";

describe("the shard of a hash", () => {
  it("is what it always was: it decides where stored sessions are looked for", () => {
    const places = [2, 3, 8, 64].map((count) =>
      ["abc", "ada", "bob"].map((id) => shardOf(handleOf(id), count)),
    );
    expect(places).toEqual([
      [0, 1, 1],
      [1, 0, 0],
      [6, 3, 7],
      [22, 3, 55],
    ]);
  });

  it("is the first 24 bits of the SHA-256, modulo the number of buckets", () => {
    for (let n = 0; n < 1000; n++) {
      const id = randomUUID();
      const bits = createHash("sha256").update(id).digest().readUIntBE(0, 3);
      for (let count = 1; count <= MOST_SHARDS; count++)
        expect(shardOf(handleOf(id), count)).toBe(bits % count);
    }
  });

  it("spreads sessions evenly", () => {
    const counts = new Array(8).fill(0);
    for (let n = 0; n < 80_000; n++) counts[shardOf(handleOf(`id ${n}`), 8)]++;
    for (const count of counts) expect(Math.abs(count - 10_000)).toBeLessThan(500);
  });
});

describe("a hash that is moved into a shard", () => {
  it("lies there, and differs in its first four letters only", () => {
    for (const count of [1, 2, 3, 5, 8, 63, MOST_SHARDS]) {
      for (const id of ["a", "b", "c", "d"]) {
        for (let shard = 0; shard < count; shard++) {
          const moved = inShard(handleOf(id), shard, count);
          expect(shardOf(moved, count)).toBe(shard);
          expect(moved).toHaveLength(43);
          expect(moved.slice(4)).toBe(handleOf(id).slice(4));
        }
      }
    }
  });

  it("stays as it is where it lies there already", () => {
    const hash = handleOf("ada");
    expect(inShard(hash, shardOf(hash, 8), 8)).toBe(hash);
  });

  it.each(["____", "AAAA"])("lies there also at the end of what four letters can spell: %s", (start) => {
    const hash = start + handleOf("ada").slice(4);
    for (let shard = 0; shard < 7; shard++) expect(shardOf(inShard(hash, shard, 7), 7)).toBe(shard);
  });
});
