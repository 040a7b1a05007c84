import { errorPage, logLine, problemOf, type Site } from "example-login-shared";
import type { ErrorRequestHandler } from "express";
import { leaveSession } from "./session.js";

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
      leaveSession(req);
      res.set("Retry-After", "5");
    }
    res.status(problem.status).send(errorPage(site, problem));
  };
}
