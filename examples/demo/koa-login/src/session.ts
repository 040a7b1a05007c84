import type { LoginSession } from "example-login-shared";

declare module "koa" {
  interface DefaultContext {
    /** Set to `null` to end the session. */
    get session(): LoginSession & {
      regenerate(): Promise<void>;
      /** The session's id. */
      readonly externalKey: string;
    };
    set session(content: LoginSession | null);
    /** koa-session's options for this request. */
    sessionOptions: { rolling?: boolean };
  }
}
