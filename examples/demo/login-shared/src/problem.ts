/** A request that is refused with the given HTTP status. */
export class Refusal extends Error {
  override readonly name = "Refusal";

  /** @param text what the visitor is told; default: the usual words for the status */
  constructor(
    readonly status: 401 | 403 | 404 | 415 | 421,
    readonly text?: ProblemText,
  ) {
    super(`Refused with status ${status}`);
  }
}

export type ProblemText = readonly [title: string, message: string];

/** An error as a visitor may see it. */
export interface Problem {
  status: number;
  title: string;
  message: string;
  /** Whether the session store failed. Nothing is known about the session then, so no cookie may be sent. */
  fromStore: boolean;
}

/** What a visitor is told about an error; details of errors of our own are left out. */
export function problemOf(error: unknown): Problem {
  const fromStore = isStoreError(error);
  const status = fromStore ? 503 : statusOf(error);
  const own = error instanceof Refusal ? error.text : undefined;
  const [title, message] = own ?? texts.get(status) ?? otherRefusal;
  return { status, title, message, fromStore };
}

/** Errors of the session store are told by their stable codes. */
export function isStoreError(error: unknown): boolean {
  const code = property(error, "code");
  return typeof code === "string" && code.startsWith("ERR_SESSION_");
}

/** Whether it only means that the visitor left before the answer was complete. */
export function isVisitorGone(error: unknown): boolean {
  return goneCodes.has(property(error, "code"));
}

/** One line for the log. */
export function logLine(method: string, path: string, error: unknown): string {
  const label = property(error, "code") ?? property(error, "name") ?? "Error";
  return `${method} ${path}: ${label}: ${property(error, "message") ?? error}`;
}

function statusOf(error: unknown): number {
  const status = property(error, "status");
  return typeof status === "number" && status >= 400 && status < 500 ? status : 500;
}

function property(error: unknown, name: string): unknown {
  return typeof error === "object" && error !== null ? Reflect.get(error, name) : undefined;
}

const goneCodes: ReadonlySet<unknown> = new Set(["ECONNRESET", "EPIPE", "ERR_STREAM_PREMATURE_CLOSE"]);

const otherRefusal: ProblemText = ["This request was refused", "The server could not make sense of it."];

const texts: ReadonlyMap<number, ProblemText> = new Map<number, ProblemText>([
  [400, otherRefusal],
  [401, ["Please sign in", "This page is for people who are signed in."]],
  [
    403,
    ["This form is out of date", "Nothing was changed. Open the page again and send the form once more."],
  ],
  [404, ["There is no such page", "The address may be mistyped, or the page has moved."]],
  [413, ["That is too much", "The form held more than this page accepts."]],
  [415, ["This kind of content is not accepted", "Forms are sent as application/x-www-form-urlencoded."]],
  [421, ["Please use https", "This site signs people in over encrypted connections only."]],
  [500, ["Something went wrong", "The fault is on our side and has been noted."]],
  [
    503,
    [
      "Please try again in a moment",
      "Sessions cannot be reached just now. If you were signed in, you still are.",
    ],
  ],
]);
