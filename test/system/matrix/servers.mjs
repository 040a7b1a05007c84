import { debianNatsServer, findNatsServer, natsServerVersion } from "nats-dev-server";

/** Where the versions come from; the rest of the tests uses the one of npm. */
const DEBIAN = ["trixie", "forky"];

/** The servers to try, oldest first. */
export async function servers() {
  const { path, source } = findNatsServer();
  const usual = { path, version: await natsServerVersion(path), origin: source, usual: true };
  const debian = await Promise.all(
    DEBIAN.map(async (release) => ({ ...(await debianNatsServer(release)), origin: `Debian ${release}` })),
  );
  return [...debian, usual]
    .sort((a, b) => a.version.localeCompare(b.version, "en", { numeric: true }))
    .map((server) => ({
      ...server,
      name: `${server.version} (${server.origin})`,
    }));
}
