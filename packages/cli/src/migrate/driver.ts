import { CommandError, UnavailableError } from "../exit.js";

/** Loads the client of a database, which is installed only by those who need it. @throws CommandError */
export async function driver<D>(name: string): Promise<D> {
  try {
    return (await import(name)) as D;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_MODULE_NOT_FOUND") throw error;
    throw new CommandError(
      `Expected the package \`${name}\` beside nats-session-cli: npm install ${name}, or npx -p nats-session-cli -p ${name} nats-sessions migrate …`,
    );
  }
}

/** Waits for what the database is asked. @throws UnavailableError naming the database and what its client said */
export async function asked<R>(title: string, task: Promise<R>): Promise<R> {
  try {
    return await task;
  } catch (error) {
    throw new UnavailableError(`${title} cannot be read: ${reasonOf(error)}`);
  }
}

/** Node.js gives all failed addresses of a host in one error that says nothing itself. */
function reasonOf(error: unknown): string {
  const { message, errors, code } = error as { message?: string; errors?: Error[]; code?: string };
  return message || errors?.[0]?.message || code || "unknown";
}
