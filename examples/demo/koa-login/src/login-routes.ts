import { Router } from "@koa/router";
import {
  type Account,
  deviceOf,
  formField,
  newCsrfToken,
  profilePage,
  type Site,
  signedInSession,
  signInPage,
  type UserDirectory,
} from "example-login-shared";
import { csrfToken, form, seeOther } from "./forms.js";

export interface LoginRoutesOptions {
  site: Site;
  accounts: readonly Account[];
  users: UserDirectory;
}

export function loginRoutes({ site, accounts, users }: LoginRoutesOptions): Router {
  const router = new Router();

  router.get("/", (ctx) => {
    const user = users.find(ctx.session.userId);
    if (user === undefined) return seeOther(ctx, "/sign-in");
    const { signedInAt = Date.now(), visits = 0 } = ctx.session;
    ctx.session.visits = visits + 1;
    ctx.body = profilePage(site, { csrf: csrfToken(ctx.session), user, visits: visits + 1, signedInAt });
  });

  router.get("/sign-in", (ctx) => {
    if (users.find(ctx.session.userId)) return seeOther(ctx, "/");
    ctx.body = signInPage(site, { csrf: csrfToken(ctx.session), accounts });
  });

  router.post("/sign-in", ...form, async (ctx) => {
    const name = formField(ctx.request.body, "user");
    const user = await users.verify(name, formField(ctx.request.body, "password"));
    if (user === undefined) {
      ctx.status = 401;
      ctx.body = signInPage(site, { csrf: csrfToken(ctx.session), accounts, refused: name });
      return;
    }
    const device = deviceOf({
      app: site.framework,
      userAgent: ctx.get("user-agent"),
      address: ctx.ip,
    });
    // koa-session keeps the content when the id changes, so it is replaced first.
    ctx.session = signedInSession(user.id, newCsrfToken(), device);
    await ctx.session.regenerate();
    seeOther(ctx, "/");
  });

  router.post("/sign-out", ...form, (ctx) => {
    ctx.session = null;
    seeOther(ctx, "/sign-in");
  });

  return router;
}
