import { SessionStoreError, unavailable } from "../errors.js";
import type { StreamName, Subjects } from "./subjects.js";

/** An error answer of JetStream's, as it stands in a reply. */
export interface ApiError {
  readonly code?: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** JetStream's error numbers that mean something to a session store. */
export const API = {
  wrongLastSequence: 10071,
  writeInFlight: 10164,
  messageTooLarge: 10054,
  /** The stream's store refused the message: the bucket is at its limit, or the disk failed. */
  storeFailed: 10077,
  insufficientResources: 10023,
  accountResources: 10002,
  memoryResources: 10028,
  storageResources: 10047,
  streamNotFound: 10059,
  noMessage: 10037,
  ttlDisabled: 10166,
  sealed: 10109,
  jetStreamOff: 10039,
  jetStreamOffForAccount: 10076,
} as const;

/** The error for an answer by which the server refused a request. */
export function apiError(error: ApiError, { stream, where }: StreamName): SessionStoreError {
  switch (error.err_code) {
    case API.storeFailed:
      return isLimit(error) ? bucketFull(error, where) : diskFull(error, where);
    case API.insufficientResources:
    case API.accountResources:
    case API.memoryResources:
    case API.storageResources:
      return bucketFull(error, where);
    case API.streamNotFound:
      return new SessionStoreError(
        "ERR_SESSION_BUCKET_MISSING",
        `The bucket's stream "${stream}"${where} does not exist. Open the store with \`createBucket: true\` to create it.`,
      );
    case API.ttlDisabled:
      return new SessionStoreError(
        "ERR_SESSION_BUCKET_MISMATCH",
        `The stream "${stream}"${where} no longer allows a TTL per message (allow_msg_ttl).`,
      );
    case API.sealed:
      return new SessionStoreError(
        "ERR_SESSION_BUCKET_MISMATCH",
        `The stream "${stream}"${where} was sealed and takes no writes any more. Use another bucket.`,
      );
    case API.jetStreamOff:
    case API.jetStreamOffForAccount:
      return new SessionStoreError(
        "ERR_SESSION_JETSTREAM_OFF",
        `JetStream is not enabled for this account${where}. Enable it in the server's configuration.`,
      );
    default:
      return error.code === 503
        ? unavailable(`JetStream answered${where} ${error.err_code}, ${error.description}`)
        : new SessionStoreError(
            "ERR_SESSION_SERVER",
            `The server refused${where}: ${error.description} (${error.err_code ?? error.code}).`,
          );
  }
}

/** The server uses one number for a limit of the stream and for a failed write; only its text tells them apart. */
function isLimit({ description = "" }: ApiError): boolean {
  return description.includes("maximum");
}

function bucketFull({ description }: ApiError, where: string): SessionStoreError {
  return new SessionStoreError(
    "ERR_SESSION_BUCKET_FULL",
    `The bucket${where} is full (${description}). Raise \`maxBytes\` or the server's storage limit.`,
  );
}

function diskFull({ description }: ApiError, where: string): SessionStoreError {
  return new SessionStoreError(
    "ERR_SESSION_DISK_FULL",
    `The server could not store the session${where} (${description}): its disk is full or failing. Free disk space; nats-server may need a restart.`,
  );
}

/** The error for a server that answers for the bucket, but not to writes. */
export function storesNothing({ where }: StreamName): SessionStoreError {
  return new SessionStoreError(
    "ERR_SESSION_DISK_FULL",
    `The server answers for the bucket${where}, but stores nothing: its disk is full or failing, as its log says. Free disk space, then restart nats-server.`,
  );
}

/** The error for a JetStream that does not answer. Another domain or account may be out of reach for a while. */
export function jetStreamSilent({ isElsewhere, where }: Subjects, cause?: unknown): SessionStoreError {
  if (isElsewhere) {
    return unavailable(
      `no JetStream answers${where}: there is none, or it cannot be reached from here`,
      cause,
    );
  }
  return new SessionStoreError(
    "ERR_SESSION_JETSTREAM_OFF",
    "JetStream does not answer: it is not enabled on the server (nats-server -js), or it is not reachable.",
    cause,
  );
}

/** JetStream's error number in an error thrown by a client, if it is one. */
export function serverErrorCode(error: unknown): number | undefined {
  return apiErrorOf(error)?.err_code;
}

/**
 * Whether an error thrown by a client may be over at the next try: a lost answer, a cluster without a leader, a
 * JetStream that is still starting or out of reach for a while.
 * @param isExpected whether there is a JetStream, as far as is known
 */
export function mayPass(error: unknown, isExpected: boolean): boolean {
  if (isNobodyThere(error)) return isExpected;
  return isSilence(error) || apiErrorOf(error)?.code === 503;
}

/** Whether an error thrown by a client says that no answer came in time. */
export function isSilence(error: unknown): boolean {
  const { name, code } = error as { name?: unknown; code?: unknown };
  return name === "TimeoutError" || code === "TIMEOUT";
}

/**
 * 2.x says "503" where 3.x throws a RequestError caused by NoResponders. The JetStream package turns that into an
 * error of its own, unless the connection is of another version than the package.
 */
function isNobodyThere(error: unknown): boolean {
  const { name, code, cause } = error as { name?: unknown; code?: unknown; cause?: { name?: unknown } };
  return name === "JetStreamNotEnabled" || code === "503" || cause?.name === "NoResponders";
}

/** The error for something thrown by a client while a bucket is opened or asked about. */
export function managementError(error: unknown, subjects: Subjects): Error {
  if (error instanceof SessionStoreError || error instanceof TypeError) return error;
  const answer = apiErrorOf(error);
  if (answer) {
    const mapped = apiError(answer, subjects);
    return new SessionStoreError(mapped.code, mapped.message, error);
  }
  const { name, code, message, cause } = error as Error & { code?: unknown };
  const inner = cause as { name?: string; message?: string } | undefined;
  if (
    name === "PermissionViolationError" ||
    inner?.name === "PermissionViolationError" ||
    code === "PERMISSIONS_VIOLATION"
  ) {
    const text = inner?.message ?? message;
    const subject = /"([^"]+)"/.exec(text)?.[1] ?? "unknown";
    return new SessionStoreError(
      "ERR_SESSION_PERMISSION",
      `The account has no permission for "${subject}".`,
      error,
    );
  }
  if (isNobodyThere(error)) return jetStreamSilent(subjects, error);
  if (OUTAGES.has(name) || OUTAGES.has(code))
    return unavailable(`no answer from NATS${subjects.where} in time`, error);
  const text = `The bucket ${subjects.title} could not be opened: ${message}.`;
  return new SessionStoreError("ERR_SESSION_SERVER", text, error);
}

/** Names (3.x) and codes (2.x) of the clients' errors for a server that does not answer or cannot be reached. */
const OUTAGES: ReadonlySet<unknown> = new Set([
  "TimeoutError",
  "ClosedConnectionError",
  "DrainingConnectionError",
  "ConnectionError",
  "RequestError",
  "TIMEOUT",
  "CONNECTION_CLOSED",
  "CONNECTION_DRAINING",
  "DISCONNECT",
]);

function apiErrorOf(error: unknown): ApiError | undefined {
  const method = (error as { apiError?: unknown } | undefined)?.apiError;
  return typeof method === "function" ? (method.call(error) as ApiError) : undefined;
}
