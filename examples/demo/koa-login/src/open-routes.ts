import { Router } from "@koa/router";
import { assetCacheControl, readAssets } from "example-login-shared";

/** What is answered without looking at a session. */
export function openRoutes(): Router {
  const router = new Router();
  router.get("/healthz", (ctx) => {
    ctx.body = "ok\n";
  });
  for (const { path, type, content } of readAssets()) {
    router.get(path, (ctx) => {
      ctx.set({ "Content-Type": type, "Cache-Control": assetCacheControl });
      ctx.body = content;
    });
  }
  return router;
}
