import { bodyParser } from "@koa/bodyparser";
import { holdsCsrfToken, type LoginSession, newCsrfToken, Refusal } from "example-login-shared";
import type { Context, Middleware } from "koa";

/** Lets a request through whose body is a form from one of this session's pages. */
export const form: Middleware[] = [
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
export function csrfToken(session: LoginSession): string {
  session.csrf ??= newCsrfToken();
  return session.csrf;
}

export function seeOther(ctx: Context, path: string): void {
  ctx.status = 303;
  ctx.redirect(path);
}
