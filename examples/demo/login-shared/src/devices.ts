import type { SessionStore } from "nats-session-store";
import type { Device } from "./device.js";
import type { LoginSession } from "./session-data.js";

/** What the devices page needs of a session store, whatever framework's sessions it holds. */
export type Sessions = Pick<
  SessionStore<object>,
  "changes" | "handleOf" | "hashUser" | "listByUser" | "load"
>;

/** A session as the person whose it is sees it. */
export interface SignedInDevice extends Device {
  /** The session's public name. */
  handle: string;
  /** Whether it is the session that the page is shown in. */
  isThis: boolean;
  /** Unix milliseconds, as the next. */
  signedInAt: number;
  lastSeenAt: number;
}

export interface DeviceList {
  devices: SignedInDevice[];
  /** Whether there are more than a page shows. */
  isCut: boolean;
}

const mostShown = 100;

/** A person's sessions: the one of the page first, then the newest of the others. */
export async function listDevices(
  sessions: Sessions,
  userId: string,
  ownHandle: string,
): Promise<DeviceList> {
  const own: SignedInDevice[] = [];
  const others: SignedInDevice[] = [];
  let isCut = false;
  for await (const { handle, data, createdAt, lastWriteAt } of sessions.listByUser(userId)) {
    const { device = unknownDevice, signedInAt = createdAt }: LoginSession = data;
    const isThis = handle === ownHandle;
    const entry = { ...device, handle, isThis, signedInAt, lastSeenAt: lastWriteAt };
    if (isThis) own.push(entry);
    else if (others.length < mostShown) others.push(entry);
    else isCut = true;
    if (isCut && own.length > 0) break;
  }
  return { devices: [...own, ...others], isCut };
}

/** Of a session that was begun before sign-ins kept it. */
const unknownDevice: Device = { browser: "Unknown browser", kind: "other", address: "", app: "" };
