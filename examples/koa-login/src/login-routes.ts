import { bodyParser } from "@koa/bodyparser";
import { Router } from "@koa/router";
import {
  type Account,
  formField,
  holdsCsrfToken,
  type LoginSession,
  newCsrfToken,
  profilePage,
  Refusal,
  type Site,
  signedInSession,
  signInPage,
  type UserDirectory,
} from "example-login-shared";
import type { Context, Middleware } from "koa";

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
    // koa-session keeps the content when the id changes, so it is replaced first.
    ctx.session = signedInSession(user.id, newCsrfToken());
    await ctx.session.regenerate();
    seeOther(ctx, "/");
  });

  router.post("/sign-out", ...form, (ctx) => {
    ctx.session = null;
    seeOther(ctx, "/sign-in");
  });

  return router;
}

/** Lets a request through whose body is a form from one of this session's pages. */
const form: Middleware[] = [
  (ctx, next) => {
    if (!ctx.is("application/x-www-form-urlencoded")) throw new Refusal(415);
    return next();
  },
  bodyParser({ enableTypes: ["form"], formLimit: "4kb" }),
  (ctx, next) => {
    if (!holdsCsrfToken(ctx.session, ctx.request.body)) throw new Refusal(403);
    return next();
  },
];

/** The token for the session's forms. A first one begins the session. */
function csrfToken(session: LoginSession): string {
  session.csrf ??= newCsrfToken();
  return session.csrf;
}

function seeOther(ctx: Context, path: string): void {
  ctx.status = 303;
  ctx.redirect(path);
}
