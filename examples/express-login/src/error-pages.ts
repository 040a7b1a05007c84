import { errorPage, logLine, problemOf, type Site } from "example-login-shared";
import type { ErrorRequestHandler } from "express";

export function errorPages(site: Site): ErrorRequestHandler {
  // Express tells an error handler by its four parameters.
  return (error, req, res, _next) => {
    const problem = problemOf(error);
    if (problem.status >= 500) console.error(logLine(req.method, req.path, error));

    // A page that is already on its way was complete: only the renewal of the session after it has failed.
    if (res.headersSent) {
      if (!res.writableEnded) res.destroy();
      return;
    }
    if (problem.fromStore) {
      // Without a session, express-session neither asks the failing store again nor sends a cookie.
      Reflect.deleteProperty(req, "session");
      res.set("Retry-After", "5");
    }
    res.status(problem.status).send(errorPage(site, problem));
  };
}
