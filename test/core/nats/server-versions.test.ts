import { startNatsServer } from "nats-dev-server";
import { describe, expect, it } from "vitest";
import { serverFaultOf } from "../../../packages/core/dist/nats/server-versions.js";
import { PATIENCE } from "../../support/patient.js";
import { runModule } from "../../support/run-program.js";

describe("nats-server", () => {
  const plain = { ttls: true };

  it.each(["2.14.0", "2.14.3", "2.14.0-RC.1"])("%s has the fault that can stop all writes", (version) => {
    expect(serverFaultOf(version, plain)).toMatch(/stop all writes.*2\.14\.4/);
  });

  it.each(["2.11.0", "2.11.9", "2.12.0"])(
    "%s has the fault that keeps overwritten sessions in memory",
    (version) => {
      expect(serverFaultOf(version, plain)).toMatch(/in memory.*2\.11\.10/);
    },
  );

  it.each(["2.10.27", "2.11.10", "2.11.17", "2.12.1", "2.13.0", "2.14.4", "2.15.1", "3.0.0", "", "x"])(
    "%j has no known fault",
    (version) => {
      expect(serverFaultOf(version, plain)).toBeUndefined();
    },
  );

  it("2.14.0 has no fault that matters to a bucket without TTLs", () => {
    expect(serverFaultOf("2.14.0", { ttls: false })).toBeUndefined();
  });
});

it("each store on a server with a fault gives a warning with a code, which can be turned off", async () => {
  await using server = await startNatsServer();
  const open = async (...flags: string[]) => {
    const source = `
      import { connect } from "@nats-io/transport-node";
      import { SessionStore } from "nats-session-store";
      const nc = await connect({ servers: ${JSON.stringify(server.url)} });
      Object.defineProperty(nc, "info", { value: { ...nc.info, version: "2.14.1" } });
      for (const bucket of ["a", "a", "b"]) await SessionStore.open(nc, { bucket, timeout: ${PATIENCE} });
      await nc.close();
    `;
    return runModule(source, flags, { NODE_OPTIONS: "" });
  };
  const warnings = (await open()).split("\n").filter((line) => line.includes("nats-server"));
  expect(warnings).toEqual(
    Array(3).fill(
      expect.stringMatching(
        /\[NATS_SESSION_SERVER_FAULT\] NatsSessionWarning: nats-server 2\.14\.1 has a fault .* Use 2\.14\.4 or later\.$/,
      ),
    ),
  );
  expect(await open("--disable-warning=NATS_SESSION_SERVER_FAULT")).toBe("");
});
