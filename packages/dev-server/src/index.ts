export { findNatsServer, natsServerVersion } from "./binary.js";
export { startNatsCluster } from "./cluster.js";
export { debianNatsServer } from "./debian.js";
export { nextPort } from "./ports.js";
export { startNatsServer } from "./server.js";
export type {
  NatsCluster,
  NatsClusterOptions,
  NatsServer,
  NatsServerBinary,
  NatsServerOptions,
  RestartOptions,
} from "./types.js";
