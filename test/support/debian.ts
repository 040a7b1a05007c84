import { debianNatsServer } from "nats-dev-server";

/** The server of a Debian release; nothing where it cannot be had, except in CI, which needs it. */
export async function debianServer(release: "bookworm" | "trixie"): Promise<string | undefined> {
  try {
    return (await debianNatsServer(release)).path;
  } catch (error) {
    if (process.env.CI) throw error;
    console.warn(`No nats-server of Debian ${release}, its tests are left out: ${(error as Error).message}`);
    return undefined;
  }
}
