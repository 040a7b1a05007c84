import { once } from "node:events";
import express from "express";
import session from "express-session";

/** A site in which each request does what its scenario tells it to do with the session, and when. */
export class Site {
  /** @type {((req: express.Request) => unknown)[]} */
  #actions = [];
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
    app.get("/:action", async (req, res) => {
      await site.#actions[Number(req.params.action)](req);
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
    await browser.send((req) => Object.assign(req.session, { user: "ada", ...data }));
    return browser;
  }

  /** What the session of a cookie holds; `undefined` when that session is over. */
  async look(cookie) {
    let found;
    await this.request(cookie, ({ session }) => {
      if (session.user) found = { ...session };
    });
    return found;
  }

  /** @returns {Promise<string>} the cookie from the answer, or the one that was sent */
  async request(cookie, action) {
    const index = this.#actions.push(action) - 1;
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
  cookie = "";
  #site;

  constructor(site) {
    this.#site = site;
  }

  /** A request that does something with its session, from its start to its end. */
  async send(action) {
    this.cookie = await this.#site.request(this.cookie, action);
  }

  /** A request that has loaded its session and goes on when it is told to. */
  async begin(action) {
    const loaded = withResolvers();
    const gate = withResolvers();
    const answer = this.#site.request(this.cookie, async (req) => {
      loaded.resolve();
      await gate.promise;
      return action(req);
    });
    await Promise.race([loaded.promise, answer]);
    return {
      end: async () => {
        gate.resolve();
        await answer;
      },
    };
  }

  look() {
    return this.#site.look(this.cookie);
  }
}

export function regenerate({ session }) {
  return promised((done) => session.regenerate(done));
}

export function destroy({ session }) {
  return promised((done) => session.destroy(done));
}

export function save({ session }) {
  return promised((done) => session.save(done));
}

function promised(start) {
  return new Promise((resolve, reject) => start((error) => (error ? reject(error) : resolve())));
}

function withResolvers() {
  const result = {};
  result.promise = new Promise((resolve, reject) => Object.assign(result, { resolve, reject }));
  return result;
}
