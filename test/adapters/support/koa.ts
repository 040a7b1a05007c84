import { createHmac } from "node:crypto";
import Koa, { type Context } from "koa";
import session, { type CreateSessionOptions } from "koa-session";
import { NatsStore } from "koa-session-nats";
import { App } from "./app.js";
import type { Framework } from "./framework.js";
import type { Settings, Visit } from "./visit.js";

/** A request to a Koa application. */
export interface KoaVisit extends Visit {
  readonly ctx: Context;
}

type KoaSettings = Omit<Settings, "maxAge"> & Omit<CreateSessionOptions, "store">;

const KEY = "a key of the tests";

export const koaFramework: Framework<KoaVisit, NatsStore, KoaSettings> = {
  name: "koa-session",
  Store: NatsStore,

  start(store, settings = {}) {
    return App.start<KoaVisit>((run, onError) => {
      const app = new Koa();
      app.keys = [KEY];
      app.use(async (ctx, next) => {
        try {
          await next();
        } catch (error) {
          onError(error);
          ctx.status = 500;
          ctx.body = { code: (error as { code?: string }).code };
        }
      });
      app.use(session({ ...settings, store }, app));
      app.use(async (ctx) => {
        ctx.body = await run(ctx.url, visitOf(ctx));
      });
      return app.callback();
    });
  },

  idOf(visitor) {
    return /(?:^|; )koa\.sess=([^;]*)/.exec(visitor.cookie)?.[1];
  },

  cookiesOf(id) {
    const signature = createHmac("sha1", KEY).update(`koa.sess=${id}`).digest("base64url");
    return { "koa.sess": id, "koa.sess.sig": signature };
  },
};

function visitOf(ctx: Context): KoaVisit {
  return {
    ctx,
    get session() {
      return ctx.session;
    },
    save: () => ctx.session.save(),
    regenerate: () => ctx.session.regenerate(),
    destroy: async () => {
      ctx.session = null;
    },
    setMaxAge: (ms) => {
      ctx.session.maxAge = ms;
    },
  };
}
