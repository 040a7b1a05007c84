// A page of all devices that a user is signed in on. It ends one of them, or all others, and leaves for the sign-in
// form as soon as its own session is ended, by any process.
import { connect } from "@nats-io/transport-node";
import { NatsStore, rotate } from "connect-nats";
import express from "express";
import session from "express-session";

const { NATS_URL = "nats://127.0.0.1:4222", PORT = 3000, SESSION_SECRET } = process.env;
if (!SESSION_SECRET) throw new Error("Set SESSION_SECRET: it signs the cookies");

const nc = await connect({ servers: NATS_URL, maxReconnectAttempts: -1, pingInterval: 10_000 });
const store = new NatsStore(nc, { user: (data) => data.user });
const { sessions } = store;

const app = express();
app.get("/healthz", async (_req, res) => res.json(await sessions.check({ timeout: 1000 })));
app.use(
  session({
    store,
    secret: SESSION_SECRET,
    resave: false,
    saveUninitialized: false,
    rolling: true,
    // Browsers send a lax cookie with no form of another site.
    cookie: { maxAge: 86_400_000, sameSite: "lax", secure: "auto" },
  }),
);
app.use(express.urlencoded({ extended: false }));

// Your own user directory, with hashed passwords.
const PASSWORDS = new Map([
  ["ada", "lovelace"],
  ["grace", "hopper"],
]);

app.get("/sign-in", (_req, res) => res.send(signInPage()));

app.post("/sign-in", async (req, res) => {
  const { user, password } = req.body ?? {};
  if (!PASSWORDS.has(user) || PASSWORDS.get(user) !== password) {
    return res.status(401).send(signInPage("Wrong user name or password"));
  }
  Object.assign(req.session, { user, browser: browserOf(req.get("user-agent")) });
  await rotate(req); // a new id, so that one that leaked before becomes useless
  res.redirect(303, "/");
});

// All that follows is for users who are signed in.
app.use((req, res, next) => (req.session.user ? next() : res.redirect(303, "/sign-in")));

app.get("/", async (req, res) => {
  const own = sessions.handleOf(req.sessionID);
  const devices = [];
  for await (const session of sessions.listByUser(req.session.user)) {
    devices.push({ ...session, isThis: session.handle === own });
  }
  res.send(devicesPage(req.session.user, devices));
});

// A handle comes from the browser, so the store is told whose session it must be.
app.post("/end", async (req, res) => {
  const isEnded = await sessions.destroyByHandle(String(req.body?.handle), { user: req.session.user });
  if (!isEnded) return res.status(404).send("That device is not signed in");
  res.redirect(303, "/");
});

app.post("/end-others", async (req, res) => {
  await sessions.destroyByUser(req.session.user, { except: sessions.handleOf(req.sessionID) });
  await rotate(req); // a copy of this device's cookie is useless now, too
  res.redirect(303, "/");
});

app.post("/sign-out", (req, res, next) => {
  req.session.destroy((error) => (error ? next(error) : res.clearCookie("connect.sid").redirect(303, "/")));
});

// Server-sent events: one, when the session of the page has ended.
app.get("/ended", (req, res) => {
  const handle = sessions.handleOf(req.sessionID);
  delete req.session; // an open page does not renew its session
  res.set({ "Content-Type": "text/event-stream", "Cache-Control": "no-store" });
  res.write("retry: 2000\n\n");
  const stop = sessions.onEnded(
    handle,
    // After a rotation the page reloads with its new cookie.
    ({ reason }) => res.end(`data: ${reason}\n\n`),
    { onError: () => res.end() },
  );
  res.on("close", stop);
});

app.use((error, req, res, next) => {
  if (!String(error.code).startsWith("ERR_SESSION_")) return next(error);
  console.error(error);
  if (res.headersSent) return; // the response is complete; only its session could not be saved
  delete req.session; // it could not be loaded: neither save it nor send a cookie
  res.status(503).set("Retry-After", "5").send("Try again in a moment");
});

const server = app.listen(PORT, () => console.log(`http://127.0.0.1:${server.address().port}`));
process.on("SIGTERM", () => {
  server.close(() => store.close().then(() => nc.close()));
  server.closeAllConnections(); // the event streams have no end of their own
});

// What the pages look like.

function signInPage(problem = "") {
  return page(`<h1>Sign in</h1>
<p role="alert">${problem}</p>
<form method="post" action="/sign-in">
<label>User name <input name="user" autocomplete="username" required autofocus></label>
<label>Password <input name="password" type="password" autocomplete="current-password" required></label>
<button>Sign in</button>
</form>
<p>ada / lovelace, or grace / hopper</p>`);
}

function devicesPage(user, devices) {
  const rows = devices.map(
    ({ handle, data, createdAt, lastWriteAt, isThis }) => `<li>
<b>${escaped(data.browser ?? "Unknown browser")}</b> ${isThis ? "(this device)" : ""}<br>
Signed in <time datetime="${new Date(createdAt).toISOString()}"></time>,
last seen <time datetime="${new Date(lastWriteAt).toISOString()}"></time>
${isThis ? "" : `<form method="post" action="/end"><button name="handle" value="${handle}">Sign out</button></form>`}
</li>`,
  );
  return page(`<h1>Devices of ${escaped(user)}</h1>
<ul>${rows.join("\n")}</ul>
<form method="post" action="/end-others"><button>Sign out all other devices</button></form>
<form method="post" action="/sign-out"><button>Sign out</button></form>
<script>
for (const time of document.querySelectorAll("time")) time.textContent = new Date(time.dateTime).toLocaleString();
new EventSource("/ended").onmessage = () => location.reload();
</script>`);
}

function page(content) {
  return `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Devices</title>
<style>
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif }
body { max-width: 34rem; margin: 2rem auto; padding: 0 1rem }
ul { padding: 0; list-style: none }
li { padding: 1rem 0; border-top: 1px solid #8888 }
label { display: block; margin: 0.5rem 0 }
form { display: inline-block; margin: 0.5rem 0.5rem 0 0 }
button, input { padding: 0.4rem 0.8rem; font: inherit }
</style>
${content}
</html>`;
}

/** The browser's name in a user agent, roughly. */
function browserOf(userAgent = "") {
  const name = /Edg|Firefox|Chrome|Safari/.exec(userAgent)?.[0] ?? "Unknown browser";
  return name === "Edg" ? "Edge" : name;
}

function escaped(text) {
  return String(text).replace(/[&<>"']/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
