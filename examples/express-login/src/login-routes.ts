import {
  type Account,
  formField,
  holdsCsrfToken,
  newCsrfToken,
  profilePage,
  Refusal,
  type Site,
  signedInSession,
  signInPage,
  type UserDirectory,
} from "example-login-shared";
import { type Request, type RequestHandler, type Response, Router, urlencoded } from "express";
import { destroySession, regenerateSession, saveSession } from "./session.js";

export interface LoginRoutesOptions {
  site: Site;
  accounts: readonly Account[];
  users: UserDirectory;
  forgetCookie: (res: Response) => void;
}

export function loginRoutes({ site, accounts, users, forgetCookie }: LoginRoutesOptions): Router {
  const router = Router();

  router.get("/", async (req, res) => {
    const user = users.find(req.session.userId);
    if (user === undefined) return res.redirect(303, "/sign-in");
    const { signedInAt = Date.now(), visits = 0 } = req.session;
    req.session.visits = visits + 1;
    const csrf = await csrfToken(req);
    await saveSession(req);
    res.send(profilePage(site, { csrf, user, visits: visits + 1, signedInAt }));
  });

  router.get("/sign-in", async (req, res) => {
    if (users.find(req.session.userId)) return res.redirect(303, "/");
    res.send(signInPage(site, { csrf: await csrfToken(req), accounts }));
  });

  router.post("/sign-in", ...form, async (req, res) => {
    const name = formField(req.body, "user");
    const user = await users.verify(name, formField(req.body, "password"));
    if (user === undefined) {
      res.status(401).send(signInPage(site, { csrf: await csrfToken(req), accounts, refused: name }));
      return;
    }
    await regenerateSession(req);
    Object.assign(req.session, signedInSession(user.id, newCsrfToken()));
    await saveSession(req);
    res.redirect(303, "/");
  });

  router.post("/sign-out", ...form, async (req, res) => {
    await destroySession(req);
    forgetCookie(res);
    res.redirect(303, "/sign-in");
  });

  return router;
}

/** Lets a request through whose body is a form from one of this session's pages. */
const form: RequestHandler[] = [
  (req, _res, next) => next(req.is("application/x-www-form-urlencoded") ? undefined : new Refusal(415)),
  urlencoded({ extended: false, limit: "4kb", parameterLimit: 10 }),
  (req, _res, next) => next(holdsCsrfToken(req.session, req.body) ? undefined : new Refusal(403)),
];

/** The token for the session's forms. A first one begins the session. */
async function csrfToken(req: Request): Promise<string> {
  if (req.session.csrf !== undefined) return req.session.csrf;
  const token = newCsrfToken();
  req.session.csrf = token;
  await saveSession(req);
  return token;
}
