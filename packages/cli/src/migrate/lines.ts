import { open } from "node:fs/promises";
import { UsageError } from "../exit.js";
import { foundIn, isObject, timeOf } from "./session-form.js";
import { BATCH, type Found, type Source } from "./source.js";

/** No session is as large: the server takes messages of 64 MB at most, and of 1 MB unless it is told otherwise. */
const LONGEST_LINE = 8_388_608;

/** So many characters are read at a time at most, beyond the one line that is longer. */
const BATCH_CHARACTERS = 8_388_608;

const LINE_BREAK = 0x0a;

/** A line that is longer than any session. */
const TOO_LONG = Symbol("too long");

/**
 * Sessions as one JSON object in each line: `id` or `sid`; `session` or `sess`; `expiresAt` or `expire`, a time as
 * ISO 8601 or Unix ms, which may be left out.
 * @param path a file, or `-` for stdin
 * @throws UsageError for a file that cannot be opened
 */
export async function openLines(path: string, ttl: number): Promise<Source> {
  const title = path === "-" ? "stdin" : path;
  const stream = path === "-" ? process.stdin : (await opened(path)).createReadStream();
  return {
    title,
    async *batches() {
      let batch: Found[] = [];
      let size = 0;
      for await (const line of linesIn(stream, title)) {
        if (line === "") continue;
        batch.push(line === TOO_LONG ? "unreadable" : foundOn(line, ttl));
        size += line === TOO_LONG ? 0 : line.length;
        if (batch.length < BATCH && size < BATCH_CHARACTERS) continue;
        yield batch;
        batch = [];
        size = 0;
      }
      if (batch.length > 0) yield batch;
    },
    close: async () => void stream.destroy(),
  };
}

function foundOn(line: string, ttl: number): Found {
  try {
    const row: unknown = JSON.parse(line);
    if (!isObject(row)) return "unreadable";
    const { id = row.sid, session = row.sess, expiresAt = row.expire } = row;
    const ends = timeOf(expiresAt);
    if (expiresAt !== undefined && expiresAt !== null && ends === undefined) return "unreadable";
    return foundIn(id, session, ends, ttl);
  } catch {
    return "unreadable";
  }
}

/** The lines of a stream; what is beyond the longest line is not kept in memory. @throws UsageError */
async function* linesIn(
  stream: AsyncIterable<Buffer>,
  title: string,
): AsyncGenerator<string | typeof TOO_LONG> {
  let parts: Buffer[] = [];
  let length = 0;
  const take = () => {
    const line = length > LONGEST_LINE ? TOO_LONG : Buffer.concat(parts).toString("utf8").trim();
    parts = [];
    length = 0;
    return line;
  };
  const add = (part: Buffer) => {
    length += part.length;
    if (length > LONGEST_LINE) parts = [];
    else parts.push(part);
  };
  try {
    for await (const chunk of stream) {
      let from = 0;
      for (let at = chunk.indexOf(LINE_BREAK); at >= 0; at = chunk.indexOf(LINE_BREAK, from)) {
        add(chunk.subarray(from, at));
        yield take();
        from = at + 1;
      }
      add(chunk.subarray(from));
    }
  } catch (error) {
    throw unreadable(title, error);
  }
  if (length > 0) yield take();
}

async function opened(path: string) {
  try {
    return await open(path);
  } catch (error) {
    throw unreadable(path, error);
  }
}

function unreadable(title: string, error: unknown): UsageError {
  return new UsageError(`Expected ${title} to be a file that can be read: ${(error as Error).message}`);
}
