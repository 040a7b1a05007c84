import { once } from "node:events";
import express from "express";
import session from "express-session";

/** A site in which each request does what its scenario tells it to do with the session, and when. */
export class Site {
  /** @type {((request: import("../../overlaps/scenarios.mjs").Request) => unknown)[]} */
  #steps = [];
  #server;

  /**
   * @param {session.Store} store
   * @param {number} maxAge
   */
  static async open(store, maxAge) {
    const site = new Site();
    const app = express();
    app.use(
      session({
        store,
        secret: "of the benchmark only",
        resave: false,
        saveUninitialized: false,
        cookie: { maxAge },
      }),
    );
    app.get("/:step", async (req, res) => {
      await site.#steps[Number(req.params.step)](requestOf(req));
      res.send("done");
    });
    app.use((error, _req, res, next) => (res.headersSent ? next(error) : res.status(500).end()));
    site.#server = app.listen(0, "127.0.0.1");
    await once(site.#server, "listening");
    return site;
  }

  /** A browser whose user has signed in. */
  async signIn(data = {}) {
    const browser = new Browser(this);
    await browser.send(({ session }) => Object.assign(session, { user: "ada" }, data));
    return browser;
  }

  /** @returns {Promise<string>} the cookie from the answer, or the one that was sent */
  async request(cookie, step) {
    const index = this.#steps.push(step) - 1;
    const { port } = this.#server.address();
    const response = await fetch(`http://127.0.0.1:${port}/${index}`, { headers: { cookie } });
    await response.text();
    if (!response.ok) throw new Error(`The answer was ${response.status}`);
    return response.headers.getSetCookie()[0]?.split(";", 1)[0] ?? cookie;
  }

  close() {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

/** All tabs of a browser share its cookie. */
class Browser {
  #site;
  #cookie;

  constructor(site, cookie = "") {
    this.#site = site;
    this.#cookie = cookie;
  }

  async send(step) {
    const sent = this.#cookie;
    const cookie = await this.#site.request(sent, step);
    // An answer without a cookie leaves the one of a request that was answered meanwhile.
    if (cookie !== sent) this.#cookie = cookie;
  }

  copy() {
    return new Browser(this.#site, this.#cookie);
  }

  /** What the session holds; `undefined` when it is over. */
  async look() {
    let found;
    await this.#site.request(this.#cookie, ({ session }) => {
      const { cookie: _cookie, ...data } = session;
      if (data.user) found = data;
    });
    return found;
  }
}

function requestOf(req) {
  return {
    get session() {
      return req.session;
    },
    save: () => promised((done) => req.session.save(done)),
    signOut: () => promised((done) => req.session.destroy(done)),
    signInAs: async (user) => {
      await promised((done) => req.session.regenerate(done));
      req.session.user = user;
    },
    setMaxAge: (ms) => {
      req.session.cookie.maxAge = ms;
    },
  };
}

function promised(start) {
  return new Promise((resolve, reject) => start((error) => (error ? reject(error) : resolve())));
}
