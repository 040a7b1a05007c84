import { holdsCsrfToken, newCsrfToken, Refusal } from "example-login-shared";
import { type Request, type RequestHandler, urlencoded } from "express";
import { saveSession } from "./session.js";

/** Lets a request through whose body is a form from one of this session's pages. */
export const form: RequestHandler[] = [
  (req, _res, next) => next(req.is("application/x-www-form-urlencoded") ? undefined : new Refusal(415)),
  urlencoded({ extended: false, limit: "4kb", parameterLimit: 10 }),
  (req, _res, next) => next(holdsCsrfToken(req.session, req.body) ? undefined : new Refusal(403)),
];

/** The token for the session's forms. A first one begins the session. */
export async function csrfToken(req: Request): Promise<string> {
  if (req.session.csrf !== undefined) return req.session.csrf;
  const token = newCsrfToken();
  req.session.csrf = token;
  await saveSession(req);
  return token;
}
