import type { LoginSession } from "example-login-shared";

declare module "koa" {
  interface DefaultContext {
    /** Set to `null` to end the session. */
    get session(): LoginSession & { regenerate(): Promise<void> };
    set session(content: LoginSession | null);
  }
}
