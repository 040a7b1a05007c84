import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { type NatsServer, startNatsServer } from "nats-dev-server";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { serverFaultOf } from "../../packages/core/dist/server-faults.js";
import { PATIENCE } from "../support/patient.js";

describe("a version of nats-server", () => {
  const plain = { ttls: true, limited: false, replicated: false };

  it.each(["2.14.0", "2.14.3", "2.14.0-RC.1"])("%s can stop all writes", (version) => {
    expect(serverFaultOf(version, plain)).toMatch(/stop all writes.*2\.14\.4/);
  });

  it.each(["2.11.0", "2.11.9", "2.12.0"])("%s keeps overwritten sessions in memory", (version) => {
    expect(serverFaultOf(version, plain)).toMatch(/in memory.*2\.11\.10/);
  });

  it.each([
    "2.9.10",
    "2.10.27",
    "2.11.10",
    "2.11.17",
    "2.12.1",
    "2.13.0",
    "2.14.4",
    "2.15.1",
    "3.0.0",
    "",
    "x",
  ])("%j has no fault that matters", (version) => {
    expect(serverFaultOf(version, plain)).toBeUndefined();
  });

  it("is not told of what only concerns TTLs where the bucket has none", () => {
    expect(serverFaultOf("2.14.0", { ...plain, ttls: false })).toBeUndefined();
  });

  it("before 2.10 drops the oldest sessions of a full bucket, which matters where it can be full", () => {
    const limited = { ...plain, ttls: false, limited: true };
    expect(serverFaultOf("2.9.10", limited)).toMatch(/drops its oldest sessions.*2\.10/);
    expect(serverFaultOf("2.10.0", limited)).toBeUndefined();
  });

  it("before 2.10 takes both of two saves, which matters where there are replicas", () => {
    const replicated = { ...plain, ttls: false, replicated: true };
    expect(serverFaultOf("2.9.10", replicated)).toMatch(/two saves.*one replica/);
    expect(serverFaultOf("2.10.0", replicated)).toBeUndefined();
    expect(serverFaultOf("2.9.10", { ...replicated, limited: true })).toMatch(/two saves.*drops/);
  });
});

describe("opening a store on a server with a fault", () => {
  let server: NatsServer;
  beforeAll(async () => {
    server = await startNatsServer();
  });
  afterAll(() => server.stop());

  /** Opens three stores; gives what the process printed. */
  async function open(...args: string[]): Promise<string> {
    const source = `
      import { connect } from "@nats-io/transport-node";
      import { openSessionStore } from "nats-session-store";
      const nc = await connect({ servers: ${JSON.stringify(server.url)} });
      const version = process.env.PRETENDED_VERSION;
      if (version) Object.defineProperty(nc, "info", { value: { ...nc.info, version } });
      for (const bucket of ["a", "a", "b"]) await openSessionStore(nc, { bucket, timeout: ${PATIENCE} });
      await nc.close();
    `;
    const env = { ...process.env, NODE_OPTIONS: "", PRETENDED_VERSION: "2.14.1" };
    const { stdout, stderr } = await promisify(execFile)(
      process.execPath,
      [...args, "--input-type=module", "--eval", source],
      { cwd: fileURLToPath(new URL(".", import.meta.url)), env, timeout: 90_000 },
    );
    return stdout + stderr;
  }

  it("gives one warning with a code, which can be turned off", async () => {
    const warnings = (await open()).split("\n").filter((line) => line.includes("nats-server"));
    expect(warnings).toEqual([
      expect.stringMatching(
        /\[NATS_SESSION_SERVER_FAULT\] NatsSessionWarning: nats-server 2\.14\.1 has a fault .* Use 2\.14\.4 or later\.$/,
      ),
    ]);
    expect(await open("--disable-warning=NATS_SESSION_SERVER_FAULT")).toBe("");
  });
});
