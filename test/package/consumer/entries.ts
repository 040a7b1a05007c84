// Names of every entry of the core, each with a type that must be found; it is compiled, never run.
import type { GoneEvent } from "connect-nats";
import type { AdapterKit } from "nats-session-store/adapter";
import type { SessionAdmin } from "nats-session-store/admin";
import type { instrument } from "nats-session-store/opentelemetry";

type IsAny<T> = 0 extends 1 & T ? true : false;

export const areUnknown: [
  IsAny<GoneEvent>,
  IsAny<AdapterKit<object>>,
  IsAny<typeof SessionAdmin>,
  IsAny<typeof instrument>,
] = [false, false, false, false];
