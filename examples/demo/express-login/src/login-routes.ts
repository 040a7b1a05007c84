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
import { type Response, Router } from "express";
import { csrfToken, form } from "./forms.js";
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
    const device = deviceOf({
      app: site.framework,
      userAgent: req.get("user-agent"),
      address: req.ip,
    });
    Object.assign(req.session, signedInSession(user.id, newCsrfToken(), device));
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
