export const stores = ["NATS KV", "Redis", "etcd"] as const;

/** A statement, and the letter and number of the page that says so. */
export type Claim = readonly [text: string, ...sources: (keyof typeof sources)[]];

export interface Topic {
  name: string;
  claims: readonly [nats: Claim, redis: Claim, etcd: Claim];
}

/** Where each claim was read, in November 2026. */
export const sources = {
  N1: "https://docs.nats.io/nats-concepts/jetstream/key-value-store",
  N2: "https://github.com/nats-io/nats-architecture-and-design/blob/main/adr/ADR-8.md",
  N3: "https://docs.nats.io/learn/key-value/ttl-and-limits",
  N4: "https://docs.nats.io/jetstream/clustering",
  N5: "https://docs.nats.io/jetstream/clustering/administration",
  N6: "https://docs.nats.io/running-a-nats-service/configuration",
  R1: "https://redis.io/topics/cluster-spec/",
  R2: "https://redis.io/docs/latest/commands/WAIT/",
  R3: "https://redis.io/docs/latest/develop/data-types/strings/",
  R4: "https://redis.io/topics/notifications/",
  R5: "https://redis.io/commands/expire/",
  R6: "https://redis.io/topics/transactions/",
  R7: "https://redis.io/docs/commands/SET",
  E1: "https://etcd.io/docs/v3.5/learning/api_guarantees/",
  E2: "https://etcd.io/docs/v3.5/learning/data_model/",
  E3: "https://etcd.io/docs/v3.5/learning/api/",
  E4: "https://etcd.io/docs/v3.5/faq/",
  E5: "https://etcd.io/docs/v3.4/dev-guide/limit/",
} as const;

export const topics: readonly Topic[] = [
  {
    name: "consistency",
    claims: [
      [
        "writes in one order; a read may come from a replica that is behind, unless it asks the leader",
        "N1",
        "N2",
      ],
      ["replicas follow later: a failover can lose acknowledged writes; WAIT makes that rarer", "R1", "R2"],
      [
        "strict: each operation sees all that were completed before it, reads too unless told otherwise",
        "E1",
      ],
    ],
  },
  {
    name: "versions",
    claims: [
      ["each write has a revision; the last 1 to 64 values of a key are kept", "N2"],
      ["a SET replaces the value, the earlier one is gone", "R3"],
      ["all revisions can be read until they are compacted away", "E2"],
    ],
  },
  {
    name: "watch",
    claims: [
      ["a key, a pattern or the whole bucket: puts and deletes", "N1", "N2"],
      ["keyspace notifications: what is sent while a client is away, it never sees", "R4"],
      ["from any revision that is still kept; no change is left out", "E3"],
    ],
  },
  {
    name: "TTL",
    claims: [
      ["for the bucket, and for a key when it is created; an expiry leaves a marker", "N3"],
      ["for any key, set and changed at any time; a SET clears it unless KEEPTTL says otherwise", "R5", "R7"],
      ["a lease, kept alive by its owner; when it ends, all its keys are deleted", "E3"],
    ],
  },
  {
    name: "compare-and-set",
    claims: [
      ["one key: create if absent, update on a revision", "N2"],
      ["one key: SET NX, since 8.4 SET IFEQ; several: WATCH, MULTI and EXEC", "R6", "R7"],
      ["transactions with conditions on several keys", "E3"],
    ],
  },
  {
    name: "clustering",
    claims: [
      [
        "each bucket has copies of its own (1, 3 or 5) that agree by quorum, on some of the servers",
        "N4",
        "N5",
      ],
      ["keys are spread over 16384 slots, each with a master and replicas", "R1"],
      ["one quorum for all keys; no more than seven members", "E4"],
    ],
  },
  {
    name: "size limits",
    claims: [
      ["a value: 1 MB unless configured, 8 MB at most recommended", "N6"],
      ["a string: 512 MB", "R3"],
      ["a request: 1.5 MiB; all data: 2 GiB unless configured, 8 GiB suggested at most", "E5"],
    ],
  },
];
