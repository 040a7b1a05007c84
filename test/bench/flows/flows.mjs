import { cookiesIn, RawConnection } from "../harness/raw-http.mjs";

/**
 * What browsers do: the requests before, which are not counted, and the one that is.
 *
 * @typedef {object} Flow
 * @property {string} name
 * @property {string[]} before
 * @property {string} path
 * @property {boolean} [isDue] whether each touch is stored, as one a minute is
 * @property {"express"} [framework] where only one of them has it
 */

/** @type {Flow[]} */
export const flows = [
  { name: "a page, nobody is signed in", before: [], path: "/page" },
  { name: "sign in", before: [], path: "/sign-in" },
  { name: "sign in, in a session that is there", before: ["/guest"], path: "/sign-in" },
  {
    name: "sign in as passport does: `regenerate`, `save()`, end",
    before: ["/guest"],
    path: "/passport",
    framework: "express",
  },
  { name: "a page that reads", before: ["/sign-in"], path: "/page" },
  { name: "a page that reads, once a minute", before: ["/sign-in"], path: "/page", isDue: true },
  { name: "a page that writes", before: ["/sign-in"], path: "/write" },
  { name: "`save()`, then the end of the response", before: ["/sign-in"], path: "/save" },
  { name: "`save()`, another change, the end", before: ["/sign-in"], path: "/save-twice" },
  { name: "another maxAge, nothing else", before: ["/sign-in"], path: "/remember" },
  { name: "sign out", before: ["/sign-in"], path: "/sign-out" },
];

/**
 * Plays a flow as a browser of its own.
 *
 * @param {string} url of the application
 * @param {Flow} flow
 * @param {() => Promise<number> | number} count how many messages the store has sent so far
 * @returns {Promise<number>} how many messages the last request made it send
 */
export async function play(url, { before, path }, count) {
  const connection = await RawConnection.open(url);
  try {
    let cookie = "";
    const request = async (path) => {
      cookie = cookiesIn(await connection.request("GET", path, cookie)) || cookie;
    };
    for (const path of before) await request(path);
    // In the millisecond of the last write a touch would renew nothing.
    for (const written = Date.now(); Date.now() === written; ) await new Promise(setImmediate);
    const sent = await count();
    await request(path);
    return (await count()) - sent;
  } finally {
    connection.close();
  }
}
