import { Readable } from "node:stream";
import type { RequestHandler } from "express";
import { keyOf, setKey } from "./site.js";

/** A handler that changes the session, then answers. */
export const changing =
  (answer: RequestHandler): RequestHandler =>
  (req, res, next) => {
    setKey(req, "count", Number(keyOf(req, "count") ?? 0) + 1);
    return answer(req, res, next);
  };

/** Ways to answer a request that has changed its session. */
export const routes: Record<string, RequestHandler> = {
  "/page": changing((_req, res) => void res.send("a page with text")),
  "/large": changing((_req, res) => void res.send("x".repeat(500_000))),
  "/empty": changing((_req, res) => void res.send("")),
  "/redirect": changing((_req, res) => res.redirect("/count")),
  "/bare-redirect": changing((_req, res) => void res.status(302).location("/count").end()),
  "/unchanged": changing((_req, res) => void res.set("ETag", '"1"').send("a page with text")),
  "/no-content": changing((_req, res) => void res.status(204).end()),
  "/twice": changing((_req, res) => {
    res.send("a page with text");
    res.end("more");
  }),
  "/stream": changing((_req, res) => {
    // Its length is not known: it flows while the session is saved.
    Readable.from(["one ", "two ", "three"]).pipe(res);
  }),
  "/stream-before": changing((req, res) => {
    res.set("Content-Length", "13");
    res.write("one ");
    req.session.save(() => res.end("two three"));
  }),
  "/stream-meanwhile": changing((req, res) => {
    req.session.save(() => res.end("three"));
    res.write("one two ");
  }),
  "/stream-after": changing((req, res) => {
    res.set("Content-Length", "13");
    req.session.save(() => {
      res.write("one ");
      res.end("two three");
    });
  }),
  "/stream-during": changing((req, res) => {
    res.set("Content-Length", "13");
    req.session.save(() => {});
    res.write("one ");
    res.end("two three");
  }),
  "/too-large": (req, res) => {
    setKey(req, "count", "x".repeat(2_000_000));
    res.send("a page with text");
  },
  "/count": (req, res) => void res.send(String(keyOf(req, "count"))),
};
