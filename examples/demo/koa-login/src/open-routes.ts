import { Router } from "@koa/router";
import { assetCacheControl, type CheckedSessions, healthOf, readAssets } from "example-login-shared";

/** What is answered without looking at a session. */
export function openRoutes(sessions: CheckedSessions): Router {
  const router = new Router();
  router.get("/healthz", async (ctx) => {
    Object.assign(ctx, await healthOf(sessions));
  });
  for (const { path, type, content } of readAssets()) {
    router.get(path, (ctx) => {
      ctx.set({ "Content-Type": type, "Cache-Control": assetCacheControl });
      ctx.body = content;
    });
  }
  return router;
}
