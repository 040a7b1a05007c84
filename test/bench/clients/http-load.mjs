import { cookiesIn, RawConnection } from "../harness/raw-http.mjs";

/** Requests that a page makes at once. */
const BURST = 10;

/** What each connection repeats. `own` are the cookies of the browsers that this connection stands for. */
const workloads = {
  read: (connection, own) => eachInTurn(own, (cookie) => connection.request("GET", "/read", cookie)),

  write: (connection, own) => eachInTurn(own, (cookie) => connection.request("GET", "/write", cookie)),

  "sign in and out": (connection) => {
    let cookie = "";
    return async () => {
      if (cookie === "") cookie = cookiesIn(await connection.request("POST", "/sign-in", ""));
      else {
        await connection.request("POST", "/sign-out", cookie);
        cookie = "";
      }
    };
  },
};

/** Load on an application, in a process of its own: the browsers. */
export async function open({ url, browsers }) {
  const cookies = [];
  return {
    signIn: async () => {
      await onConnections(url, 16, (connection) => async () => {
        if (cookies.length >= browsers) return false;
        const index = cookies.push("") - 1;
        cookies[index] = cookiesIn(await connection.request("POST", "/sign-in", ""));
      });
    },

    /**
     * Runs a workload for some seconds, or for a number of requests, perhaps on another process of the application.
     * @returns how many requests were answered in how many seconds, and the times in ms that half and 99 % took at
     * most
     */
    run: async ({
      workload,
      connections,
      at = url,
      seconds = Number.POSITIVE_INFINITY,
      requests = Number.POSITIVE_INFINITY,
    }) => {
      const times = [];
      const end = performance.now() + seconds * 1000;
      const started = performance.now();
      const repeat = workload === "page burst" ? pagesOf(cookies) : undefined;
      await onConnections(at, connections, (connection, n) => {
        const own = cookies.filter((_, index) => index % connections === n);
        const next = repeat ? repeat(connection, n) : workloads[workload](connection, own);
        return async () => {
          const start = performance.now();
          if (start >= end || times.length >= requests) return false;
          await next();
          times.push(performance.now() - start);
        };
      });
      const took = (performance.now() - started) / 1000;
      times.sort((a, b) => a - b);
      const upTo = (share) => times[Math.max(0, Math.ceil(times.length * share) - 1)];
      return { requests: times.length, seconds: took, p50: upTo(0.5), p99: upTo(0.99) };
    },
    close: async () => {},
  };
}

/**
 * Of each ten connections that make a browser, the one that is free takes the page's next request, so that a page's
 * requests are under way together and each page is another browser's.
 */
function pagesOf(cookies) {
  const pages = [];
  return (connection, n) => {
    const browser = Math.floor(n / BURST);
    return () => {
      const request = pages[browser] ?? 0;
      pages[browser] = request + 1;
      const page = Math.floor(request / BURST) * 8 + browser;
      return connection.request("GET", "/read", cookies[page % cookies.length]);
    };
  };
}

/** Opens connections and repeats on each what `start` gives, until that gives false. */
async function onConnections(url, count, start) {
  const connections = await Promise.all(Array.from({ length: count }, () => RawConnection.open(url)));
  const results = await Promise.allSettled(
    connections.map(async (connection, n) => {
      const next = start(connection, n);
      while ((await next()) !== false);
    }),
  );
  for (const connection of connections) connection.close();
  const failed = results.find(({ status }) => status === "rejected");
  if (failed) throw failed.reason;
}

function eachInTurn(list, task) {
  let next = 0;
  return () => task(list[next++ % list.length]);
}
