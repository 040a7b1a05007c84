import { Router } from "@koa/router";
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
import type { Context } from "koa";
import type { NatsStore } from "koa-session-nats";
import { csrfToken, form, seeOther } from "./forms.js";

export interface DeviceRoutesOptions {
  site: Site;
  users: UserDirectory;
  store: NatsStore;
  /** Ends the event streams. */
  ending: AbortSignal;
}

export function deviceRoutes({ site, users, store, ending }: DeviceRoutesOptions): Router {
  const { sessions } = store;
  const router = new Router({ prefix: "/devices" });

  router.get("/", async (ctx) => {
    const user = users.find(ctx.session.userId);
    if (user === undefined) return seeOther(ctx, "/sign-in");
    const { notice } = ctx.session;
    delete ctx.session.notice;
    ctx.body = devicesPage(site, { ...(await viewOf(ctx, user)), notice });
  });

  // A page that is open asks for these by itself, which must not keep its session alive.

  router.get("/list", async (ctx) => {
    ctx.sessionOptions.rolling = false;
    const user = users.find(ctx.session.userId);
    if (user === undefined) return seeOther(ctx, "/sign-in");
    ctx.type = "html";
    ctx.body = deviceList(await viewOf(ctx, user)).toString();
  });

  router.get("/events", async (ctx) => {
    ctx.sessionOptions.rolling = false;
    const { id: userId } = signedIn(ctx);
    const events = await deviceEvents(sessions, { userId, sessionId: ctx.session.externalKey, ending });
    ctx.set(eventStreamHeaders);
    ctx.body = events;
  });

  router.post("/end", ...form, async (ctx) => {
    const { id: user } = signedIn(ctx);
    if (!(await sessions.destroyByHandle(formField(ctx.request.body, "handle"), { user }))) {
      throw new Refusal(404, noSuchDevice);
    }
    backToList(ctx, endedNotice(1));
  });

  router.post("/end-others", ...form, async (ctx) => {
    const { id: user } = signedIn(ctx);
    const own = sessions.handleOf(ctx.session.externalKey);
    const count = await sessions.destroyByUser(user, { except: own });
    // Who fears for other sessions may have lost this one's cookie too: a copy of it is worth nothing now.
    // koa-session would bring a session that has ended meanwhile back under its new id.
    if (!(await sessions.destroyByHandle(own, { user }))) throw new Refusal(401);
    backToList(ctx, endedNotice(count));
    await ctx.session.regenerate();
  });

  router.post("/end-all", ...form, async (ctx) => {
    await sessions.destroyByUser(signedIn(ctx).id);
    ctx.session = null;
    seeOther(ctx, "/sign-in");
  });

  return router;

  async function viewOf(ctx: Context, user: User): Promise<DevicesView> {
    const list = await listDevices(sessions, user.id, sessions.handleOf(ctx.session.externalKey));
    return { ...list, csrf: csrfToken(ctx.session), user };
  }

  /** @throws Refusal with status 401 */
  function signedIn(ctx: Context): User {
    const user = users.find(ctx.session.userId);
    if (user === undefined) throw new Refusal(401);
    return user;
  }
}

function backToList(ctx: Context, notice: string): void {
  ctx.session.notice = notice;
  seeOther(ctx, "/devices");
}
