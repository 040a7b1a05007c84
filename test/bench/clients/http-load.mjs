import autocannon from "autocannon";
import { inFlight } from "../harness/in-flight.mjs";

/** Requests that a page makes at once. */
const BURST = 10;

/** Of each connection the requests that it repeats. `cookies` are those of the browsers that are signed in. */
const workloads = {
  read: ({ cookies, connection, connections }) =>
    every(cookies, connection, connections).map((cookie) => ({ path: "/read", headers: { cookie } })),

  write: ({ cookies, connection, connections }) =>
    every(cookies, connection, connections).map((cookie) => ({ path: "/write", headers: { cookie } })),

  "sign in and out": () => [
    {
      method: "POST",
      path: "/sign-in",
      onResponse: (_status, _body, context, headers) => {
        context.cookie = cookieOf(headers["Set-Cookie"] ?? headers["set-cookie"]);
      },
    },
    {
      method: "POST",
      path: "/sign-out",
      setupRequest: (request, { cookie = "" }) => ({ ...request, headers: { cookie } }),
    },
  ],

  // Of each ten connections that make a browser, whichever is free takes the page's next request, so that a
  // page's requests are under way together and each page is another browser's.
  "page burst": ({ cookies, connection, connections, pages }) => {
    const browser = Math.floor(connection / BURST);
    const own = every(cookies, browser, connections / BURST);
    pages[browser] ??= 0;
    return [
      {
        path: "/read",
        setupRequest: (request) => {
          const cookie = own[Math.floor(pages[browser]++ / BURST) % own.length];
          return { ...request, headers: { cookie } };
        },
      },
    ];
  },
};

/** Load on an application, in a process of its own: the browsers. */
export async function open({ url, browsers }) {
  const cookies = new Array(browsers).fill("");
  return {
    signIn: () =>
      inFlight(16, browsers, async (index) => {
        const response = await fetch(`${url}/sign-in`, { method: "POST" });
        await response.text();
        if (!response.ok) throw new Error(`Signing in: ${response.status}`);
        cookies[index] = cookieOf(response.headers.getSetCookie());
      }),

    /** How many requests were answered in how many seconds, and the times in ms that half and 99 % took at most. */
    run: async ({ workload, connections, seconds }) => {
      const times = [];
      const pages = [];
      const statuses = new Set();
      let connection = 0;
      const start = performance.now();
      let last = start;
      const load = autocannon({
        url,
        connections,
        duration: seconds,
        sampleInt: 100,
        excludeErrorStats: true,
        setupClient: (client) => {
          client.setRequests(workloads[workload]({ cookies, connection: connection++, connections, pages }));
        },
      });
      load.on("response", (_client, status, _bytes, time) => {
        times.push(time);
        statuses.add(status);
        last = performance.now();
      });
      const { errors } = await load;
      if (errors > 0 || [...statuses].some((status) => status !== 200)) {
        throw new Error(`${errors} requests failed; the answers were ${[...statuses]}`);
      }
      times.sort((a, b) => a - b);
      const upTo = (share) => times[Math.ceil(times.length * share) - 1];
      return { requests: times.length, seconds: (last - start) / 1000, p50: upTo(0.5), p99: upTo(0.99) };
    },
    close: async () => {},
  };
}

function every(list, first, step) {
  return list.filter((_, index) => index % step === first);
}

function cookieOf(header) {
  return [header].flat()[0]?.split(";", 1)[0];
}
