// Keeps the devices page up to date. Without this script the page works too, it is only not live.
import { showTimes as showTimesIn } from "/times.js";

const eventsSilentFor = 40_000;
const tryAgainAfter = 3_000;
const doubtFor = 2_000;
const signInAfter = 3_000;

const notice = document.getElementById("notice");
let events;
let silence;
let sending;
let looking;
let lookAgain = false;
let nextLook;
let endedBy;
let doubtedAt;
let signedOut = false;

follow();
showTimes(shownList());
const clock = setInterval(() => showTimes(shownList()), 10_000);
document.addEventListener("submit", (event) => {
  if (!event.target.matches("[data-live]")) return;
  event.preventDefault();
  sending ??= send(event.target).finally(() => {
    sending = undefined;
  });
});

/** Listens to what happens to the person's sessions. */
function follow() {
  if (signedOut) return;
  events?.close();
  events = new EventSource("/devices/events");
  events.addEventListener("open", () => {
    shownList().dataset.live = "";
    // Something may have happened before anybody listened.
    look();
  });
  events.addEventListener("message", ({ data }) => heed(JSON.parse(data)));
  events.addEventListener("error", () => {
    tell("The list is not live: the application cannot be reached just now.", "trouble");
    // A stream that breaks comes back by itself, one that is refused does not.
    if (events.readyState === EventSource.CLOSED) lookIn(tryAgainAfter);
  });
  for (const kind of ["open", "message", "beat"]) events.addEventListener(kind, listenOn);
  listenOn();
}

function listenOn() {
  clearTimeout(silence);
  silence = setTimeout(follow, eventsSilentFor);
}

function heed(change) {
  if (change.type === "ended") {
    events.close();
    endedBy = change.by;
    look();
    return;
  }
  if (change.type === "cut") {
    tell("The list is not live: the sessions cannot be reached just now.", "trouble");
    return;
  }
  const row = rowOf(shownList(), change.handle);
  if (!row || !["touched", "updated"].includes(change.type)) {
    look();
    return;
  }
  const seen = row.querySelector(".seen time");
  if (seen) seen.dateTime = new Date(change.at).toISOString();
  showTimes(shownList());
}

/** Fetches the list anew; once more if that is asked for meanwhile. */
function look() {
  lookAgain = true;
  looking ??= (async () => {
    let isShown = false;
    while (lookAgain && !signedOut) {
      await sending;
      lookAgain = false;
      isShown = await fetchList();
    }
    looking = undefined;
    if (isShown && events.readyState === EventSource.CLOSED) follow();
  })();
  return looking;
}

function lookIn(milliseconds) {
  clearTimeout(nextLook);
  nextLook = setTimeout(look, milliseconds);
}

/** Resolves with whether the list is shown as it is now. */
async function fetchList() {
  const response = await fetch("/devices/list", { redirect: "manual" }).catch(() => undefined);
  // As every page does, it sends on to the sign-in page whoever is not signed in.
  if (response?.type === "opaqueredirect") {
    // If the session's id was renewed in another tab, its new cookie may still be on its way.
    doubtedAt ??= performance.now();
    if (performance.now() - doubtedAt >= doubtFor) tellSignedOut();
    else {
      tell("Checking whether you are still signed in…", "trouble");
      lookIn(doubtFor);
    }
    return false;
  }
  const text = response?.ok ? await response.text().catch(() => undefined) : undefined;
  if (text === undefined) {
    // Whether the session still lives is not known, so nobody is sent away.
    tell("The list may be out of date: the server cannot be reached just now.", "trouble");
    lookIn(tryAgainAfter);
    return false;
  }
  doubtedAt = undefined;
  showList(parse(text));
  return true;
}

/** Sends a form without leaving the page. What came of it is shown where the form is. */
async function send(form) {
  const row = form.closest("li");
  try {
    const response = await fetch(form.action, {
      method: "POST",
      body: new URLSearchParams(new FormData(form)),
    });
    const page = parse(await response.text());
    if (page.getElementById("devices")) {
      if (!showList(page)) tell(page.getElementById("notice").textContent);
    } else {
      const problem = page.querySelector("[role=alert]");
      if (problem) tellAt(row, problem.textContent, "trouble");
      look();
    }
  } catch {
    const text = "No answer: the application cannot be reached just now. The list will show what came of it.";
    tellAt(row, text, "trouble");
  }
}

/**
 * Shows the list of another document. Rows that are the same stay, so that nothing moves under a finger.
 * @returns whether it says what has changed
 */
function showList(page) {
  const list = shownList();
  const next = page.getElementById("devices");
  if (next.dataset.user !== list.dataset.user) return location.reload();
  const [rows, nextRows] = [list, next].map((of) => of.querySelector("ul"));
  list.dataset.now = next.dataset.now;
  list.dataset.at = String(performance.now());
  next.dataset.at = list.dataset.at;
  showTimes(list);
  showTimes(next);

  const notes = [...rows.querySelectorAll(".note")].map((note) => [note, note.nextElementSibling]);
  removeNotes();
  const focused = rows.contains(document.activeElement) ? document.activeElement.closest("li") : undefined;
  const focusedAt = focused && [...rows.children].indexOf(focused);
  const nextHandles = new Set([...nextRows.children].map((row) => row.dataset.handle));
  const left = [...rows.children].filter((row) => !nextHandles.has(row.dataset.handle));
  const place = placeAfter(left);
  for (const row of left) row.remove();
  const before = new Map([...rows.children].map((row) => [row.dataset.handle, row]));
  const arrived = [];
  let at = rows.firstElementChild;
  for (const row of [...nextRows.children]) {
    const known = before.get(row.dataset.handle);
    known?.removeAttribute("class");
    if (known && known === at && known.isEqualNode(row)) {
      at = at.nextElementSibling;
      continue;
    }
    if (known === at) at = at?.nextElementSibling ?? null;
    known?.remove();
    rows.insertBefore(row, at);
    if (!known) arrived.push(row);
  }

  if (focused && !focused.isConnected) {
    const row =
      rowOf(list, focused.dataset.handle) ?? rows.children[Math.min(focusedAt, rows.children.length - 1)];
    (row?.querySelector("button") ?? document.querySelector("h1")).focus();
  }
  for (const row of arrived) if (!("this" in row.dataset)) row.classList.add("arrived");
  const ended = namesOf("Signed out", left);
  const change = `${namesOf("Signed in", arrived)}${ended}`;
  if (change) tell(change, "unseen");
  else if (notice.className.includes("trouble")) tell("");
  if (ended) addNote(place, ended);
  else if (!change) keepNotes(notes);
  return change !== "";
}

function tellSignedOut() {
  signedOut = true;
  events.close();
  clearTimeout(silence);
  clearInterval(clock);
  const words = document.getElementById("signed-out").content;
  document.querySelector("main").replaceChildren(words);
  document.querySelector("h1").focus();
  document.querySelector("[role=alert]").textContent =
    endedBy === "expired"
      ? "Your session has expired. The sign-in page opens in a moment."
      : "You were signed out on another device. The sign-in page opens in a moment.";
  setTimeout(() => location.assign("/sign-in"), signInAfter);
}

function tell(text, kind = "") {
  notice.className = `notice ${kind}`;
  if (notice.textContent !== text) notice.textContent = text;
}

/** Says something of a row beside it, and to those who listen to the page. */
function tellAt(row, text, kind) {
  if (!row?.isConnected) return tell(text, kind);
  tell(text, `${kind} unseen`);
  removeNotes();
  addNote(row.nextElementSibling, text, kind);
}

/** A list without changes leaves the notes where they are, but for troubles that are over. */
function keepNotes(notes) {
  for (const [note, next] of notes) if (!note.classList.contains("trouble")) insertNote(note, next);
}

/** The row may have been replaced by a newer one of the same session. */
function insertNote(note, row) {
  const list = shownList();
  list.querySelector("ul").insertBefore(note, (row && rowOf(list, row.dataset.handle)) ?? null);
}

function removeNotes() {
  for (const note of shownList().querySelectorAll(".note")) note.remove();
}

/** Shows a note in front of a row, or at the end. The page's status says the same aloud. */
function addNote(place, text, kind = "") {
  const note = document.createElement("li");
  note.className = `note ${kind}`;
  note.setAttribute("role", "none");
  note.setAttribute("aria-hidden", "true");
  note.textContent = text;
  insertNote(note, place);
}

/** The row that follows those that leave, and stays. */
function placeAfter(left) {
  let row = left[0]?.nextElementSibling;
  while (left.includes(row)) row = row.nextElementSibling;
  return row;
}

/** Says when devices were seen, by the server's clock. */
function showTimes(list) {
  const { now, at = 0 } = list.dataset;
  showTimesIn(list, Number(now) + performance.now() - Number(at));
}

/** One's own row changes its name only, when the session's id is renewed. */
function namesOf(what, rows) {
  const names = rows.filter((row) => !("this" in row.dataset)).map((row) => row.dataset.name);
  if (names.length === 0) return "";
  return `${what}: ${names.length > 3 ? `${names.length} devices` : names.join(", ")}. `;
}

function shownList() {
  return document.getElementById("devices");
}

function rowOf(list, handle) {
  return [...list.querySelectorAll("li")].find((row) => row.dataset.handle === handle);
}

function parse(text) {
  return new DOMParser().parseFromString(text, "text/html");
}
