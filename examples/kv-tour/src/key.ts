const PART = "[-/=\\w]+";
const KEY = new RegExp(`^${PART}(\\.${PART})*$`);

/**
 * Refuses what is not a key of a bucket. The client lets some of them pass: it sends `a..b`, which the server
 * never answers, and its `delete(">")` deletes everything.
 * @throws TypeError
 */
export function checkKey(key: string): void {
  if (typeof key !== "string" || !KEY.test(key)) {
    throw new TypeError(
      `Expected a key of letters, digits and -_/= in parts joined by dots, got ${JSON.stringify(key)}`,
    );
  }
}
