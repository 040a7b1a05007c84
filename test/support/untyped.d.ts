declare module "connect-pg-simple" {
  import type session from "express-session";

  const connect: (
    session: typeof import("express-session"),
  ) => new (options: {
    conString: string;
    createTableIfMissing: boolean;
    pruneSessionInterval: false;
    errorLog(): void;
  }) => session.Store & { close(): Promise<void> };
  export default connect;
}

declare module "koa-redis" {
  interface RedisStore {
    get(id: string): Promise<object | null>;
    set(id: string, data: object, ttl: number): Promise<void>;
    destroy(id: string): Promise<void>;
    quit(): Promise<void>;
  }
  const open: (options: { url: string }) => RedisStore;
  export default open;
}
