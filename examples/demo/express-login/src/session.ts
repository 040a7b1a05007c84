import type { LoginSession } from "example-login-shared";
import type { Request } from "express";

declare module "express-session" {
  interface SessionData extends LoginSession {}
}

// express-session answers by callback; a page that waits for the store can still say when it failed.

export const saveSession = (req: Request): Promise<void> => settled((done) => req.session.save(done));

export const regenerateSession = (req: Request): Promise<void> =>
  settled((done) => req.session.regenerate(done));

export const destroySession = (req: Request): Promise<void> => settled((done) => req.session.destroy(done));

/** Without a session, express-session neither asks the store again nor sends a cookie: nothing is renewed. */
export function leaveSession(req: Request): void {
  Reflect.deleteProperty(req, "session");
}

function settled(call: (done: (error?: unknown) => void) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    call((error) => (error ? reject(error) : resolve()));
  });
}
