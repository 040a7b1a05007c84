import { errorPage, logLine, problemOf, type Site } from "example-login-shared";
import type { Middleware } from "koa";

export function errorPages(site: Site): Middleware {
  return async (ctx, next) => {
    try {
      await next();
    } catch (error) {
      const problem = problemOf(error);
      if (problem.status >= 500) console.error(logLine(ctx.method, ctx.path, error));
      if (problem.fromStore) {
        // A cookie that was set before the store failed must not replace the one that still holds.
        ctx.remove("Set-Cookie");
        ctx.set("Retry-After", "5");
      }
      ctx.remove("Location");
      ctx.status = problem.status;
      ctx.type = "html";
      ctx.body = errorPage(site, problem);
    }
  };
}
