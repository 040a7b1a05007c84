import { pipeline } from "node:stream";
import { type NatsStore, rotate } from "connect-nats";
import {
  type DevicesView,
  deviceEvents,
  deviceList,
  devicesPage,
  endedNotice,
  eventStreamHeaders,
  formField,
  listDevices,
  noSuchDevice,
  Refusal,
  type Site,
  type User,
  type UserDirectory,
} from "example-login-shared";
import { type Request, type Response, Router } from "express";
import { csrfToken, form } from "./forms.js";
import { destroySession, leaveSession, saveSession } from "./session.js";

export interface DeviceRoutesOptions {
  site: Site;
  users: UserDirectory;
  store: NatsStore;
  /** Ends the event streams. */
  ending: AbortSignal;
  forgetCookie: (res: Response) => void;
}

export function deviceRoutes({ site, users, store, ending, forgetCookie }: DeviceRoutesOptions): Router {
  const { sessions } = store;
  const router = Router();

  router.get("/", async (req, res) => {
    const user = users.find(req.session.userId);
    if (user === undefined) return res.redirect(303, "/sign-in");
    const { notice } = req.session;
    if (notice !== undefined) {
      delete req.session.notice;
      await saveSession(req);
    }
    res.send(devicesPage(site, { ...(await viewOf(req, user)), notice }));
  });

  // A page that is open asks for these by itself, which must not keep its session alive.

  router.get("/list", async (req, res) => {
    const user = users.find(req.session.userId);
    const view = user && (await viewOf(req, user));
    leaveSession(req);
    if (view === undefined) return res.redirect(303, "/sign-in");
    res.send(deviceList(view).toString());
  });

  router.get("/events", async (req, res) => {
    const { id: userId } = signedIn(req);
    const { sessionID: sessionId } = req;
    leaveSession(req);
    const events = await deviceEvents(sessions, { userId, sessionId, ending });
    res.set(eventStreamHeaders);
    pipeline(events, res, () => {});
  });

  router.post("/end", ...form, async (req, res) => {
    const { id: user } = signedIn(req);
    if (!(await sessions.destroyByHandle(formField(req.body, "handle"), { user }))) {
      throw new Refusal(404, noSuchDevice);
    }
    req.session.notice = endedNotice(1);
    await saveSession(req);
    res.redirect(303, "/devices");
  });

  router.post("/end-others", ...form, async (req, res) => {
    const { id: user } = signedIn(req);
    const count = await sessions.destroyByUser(user, { except: sessions.handleOf(req.sessionID) });
    req.session.notice = endedNotice(count);
    // Who fears for other sessions may have lost this one's cookie too: a copy of it is worth nothing now.
    await rotate(req);
    res.redirect(303, "/devices");
  });

  router.post("/end-all", ...form, async (req, res) => {
    await sessions.destroyByUser(signedIn(req).id);
    await destroySession(req);
    forgetCookie(res);
    res.redirect(303, "/sign-in");
  });

  return router;

  async function viewOf(req: Request, user: User): Promise<DevicesView> {
    const list = await listDevices(sessions, user.id, sessions.handleOf(req.sessionID));
    return { ...list, csrf: await csrfToken(req), user };
  }

  /** @throws Refusal with status 401 */
  function signedIn(req: Request): User {
    const user = users.find(req.session.userId);
    if (user !== undefined) return user;
    leaveSession(req);
    throw new Refusal(401);
  }
}
