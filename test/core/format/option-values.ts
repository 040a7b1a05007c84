const DAY = 86_400_000;

interface OptionValues {
  /** What the error says was expected. */
  readonly expected: RegExp;
  readonly refused: readonly unknown[];
  readonly accepted: readonly unknown[];
}

export const optionValues: Record<string, OptionValues> = {
  bucket: {
    expected: /letters, digits, - and _/,
    refused: ["", "a.b", "a b", "a*", ">", "é", 1, null, {}],
    accepted: ["a", "sessions-2_B"],
  },
  shards: {
    expected: /whole number from 1 to 64/,
    refused: [0, 65, -1, 1.5, "3", null, true, Number.NaN],
    accepted: [1, 3, 64],
  },
  prefix: {
    expected: /letters, digits, - and _/,
    refused: ["", ".", "a.", ".a", "a..b", "a b", "*", ">", 1],
    accepted: ["a", "shop.eu-1.x_y"],
  },
  ttl: {
    expected: /milliseconds/,
    refused: [0, -5, Number.NaN, Number.POSITIVE_INFINITY, "60", null, 1n],
    accepted: [1, 1.5, 30 * DAY, 500 * DAY],
  },
  maxTtl: {
    expected: /milliseconds/,
    refused: [0, 999, -1, Number.NaN, Number.POSITIVE_INFINITY, "1d", true],
    accepted: [1000, DAY, 36_500 * DAY],
  },
  onTtlTooLong: {
    expected: /"cut" or "error"/,
    refused: ["", "Cut", true, null],
    accepted: ["cut", "error"],
  },
  absoluteTtl: {
    expected: /milliseconds/,
    refused: [0, -1, Number.NaN, Number.POSITIVE_INFINITY, "1", []],
    accepted: [1, 365 * DAY],
  },
  touchAfter: {
    expected: /milliseconds/,
    refused: [-1, Number.NaN, Number.POSITIVE_INFINITY, "0", false],
    accepted: [0, 1.5, DAY],
  },
  timeout: {
    expected: /milliseconds.*2147483647/,
    refused: [0, -1, 2 ** 31, Number.NaN, "2000", null],
    accepted: [1, 2_147_483_647],
  },
  reads: {
    expected: /"any" or "leader"/,
    refused: ["", "follower", true, null],
    accepted: ["any", "leader"],
  },
  maxLeaderSilence: {
    expected: /milliseconds/,
    refused: [0, -1, Number.NaN, Number.POSITIVE_INFINITY, "1000", null],
    accepted: [1, 15_000, DAY],
  },
  domain: {
    expected: /without spaces, dots/,
    refused: ["", "a.b", "a b", "*", ">", 1, null],
    accepted: ["hub", "hub-1"],
  },
  apiPrefix: {
    expected: /start of a subject/,
    refused: ["", ".", "a..b", ".a", "a.>", "a.*", "a b", 1, null],
    accepted: ["a", "a.b", "a.b.", "$JS.hub.API"],
  },
  onConflict: {
    expected: /"merge" or "overwrite" or "error"/,
    refused: ["", "ours", 1, null],
    accepted: ["merge", "overwrite", "error"],
  },
  resolve: { expected: /a function/, refused: ["ours", {}, null], accepted: [() => 1, async () => 1] },
  user: { expected: /a function/, refused: ["ada", {}, null], accepted: [() => "ada"] },
  onLimit: {
    expected: /"end-oldest" or "refuse"/,
    refused: ["", "oldest", 1, null],
    accepted: ["end-oldest", "refuse"],
  },
  cache: {
    expected: /`max`, `maxBytes`.*`maxStale`/,
    refused: [
      "yes",
      1,
      null,
      [],
      { max: 0 },
      { max: 1.5 },
      { max: "10" },
      { max: null },
      { maxBytes: 0 },
      { maxBytes: Number.POSITIVE_INFINITY },
      { maxStale: 0 },
      { maxStale: Number.NaN },
      { maxAge: 1 },
    ],
    accepted: [true, false, {}, { max: 1, maxBytes: 1, maxStale: 1.5 }, { max: undefined }],
  },
  serializer: {
    expected: /`stringify` and `parse`/,
    refused: [
      null,
      {},
      "json",
      { stringify: JSON.stringify },
      { parse: JSON.parse },
      { stringify: 1, parse: 2 },
    ],
    accepted: [JSON, { stringify: async () => "{}", parse: async () => ({}) }],
  },
  createBucket: { expected: /boolean/, refused: ["true", 1, 0, null], accepted: [true, false] },
  updateBucket: { expected: /boolean/, refused: ["false", 1, 0, null], accepted: [true, false] },
  republish: { expected: /boolean/, refused: ["false", 1, 0, null], accepted: [true, false] },
  replicas: {
    expected: /whole number from 1 to 5/,
    refused: [0, 6, 1.5, -1, "3", Number.NaN, null],
    accepted: [1, 5],
  },
  storage: {
    expected: /"file" or "memory"/,
    refused: ["", "disk", "FILE", 1, null],
    accepted: ["file", "memory"],
  },
  persist: { expected: /"sync" or "async"/, refused: ["", "ASYNC", true, null], accepted: ["sync", "async"] },
  maxBytes: {
    expected: /whole number of bytes/,
    refused: [0, -1, 1.5, 2 ** 60, Number.NaN, "1GB"],
    accepted: [1, 2 ** 40],
  },
  compression: { expected: /boolean/, refused: ["s2", 1, 0, null], accepted: [true, false] },
  placement: {
    expected: /`cluster`.*`tags`/,
    refused: ["east", null, [], 1, { cluster: 1 }, { tags: "a" }, { tags: [1] }, { region: "eu" }],
    accepted: [{ cluster: "east" }, { tags: [] }, { cluster: "east", tags: ["ssd"] }],
  },
};
