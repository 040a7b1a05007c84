/** Where the nats-server binary was found. */
export interface NatsServerBinary {
  path: string;
  source: "option" | "NATS_SERVER_BIN" | "npm" | "PATH";
}

export interface NatsServerOptions {
  /** Path of the nats-server binary. Default: see {@link findNatsServer}. */
  binary?: string;
  /**
   * Client port on 127.0.0.1. Default: a free one below the range the system hands out by itself, so that
   * nobody takes it while the server is down. A given port that is in use is an error.
   */
  port?: number;
  /** Data directory, created if missing and kept. Default: a temporary one, removed by `stop()`. */
  dataDir?: string;
  /** Whether JetStream is on. Default: true. */
  jetstream?: boolean;
  /**
   * nats-server configuration appended to the generated one; a key named in both takes this value. The
   * address, the port and the data directory cannot be changed here.
   */
  config?: string;
  /** Environment variables beside those of this process, for example `GOMAXPROCS`. */
  env?: Record<string, string>;
  /** Server name, without spaces. Default: `dev-<port>`. */
  name?: string;
  /** How long a start may take, in milliseconds. Default: 20 000. */
  timeout?: number;
}

export interface RestartOptions {
  /** Binary to start this time. Default: the one used before. */
  binary?: string;
  /** Replaces the appended configuration. Default: the one used before. */
  config?: string;
  /** Whether JetStream is on from now on. Default: as before. */
  jetstream?: boolean;
}

/**
 * A running nats-server. It does not keep this process alive; when this process ends, however it ends, the
 * server and its temporary data go too.
 */
export interface NatsServer extends AsyncDisposable {
  /** `nats://127.0.0.1:<port>`. */
  readonly url: string;
  readonly port: number;
  /** `http://127.0.0.1:<port>` of the monitoring endpoints; another port after each restart. */
  readonly monitorUrl: string;
  /** Process id of the latest start. */
  readonly pid: number;
  /** Version of the binary, for example `2.14.0`. */
  readonly version: string;
  /** Directory that holds the JetStream data. */
  readonly dataDir: string;
  /** False once the process has ended. */
  readonly running: boolean;
  /** Recent output of all starts, at most 64 KiB. */
  log(): string;
  /**
   * Ends the server: SIGTERM, and SIGKILL if it is still there after 5 s. Temporary data is removed. May be
   * called again, and after `kill()`.
   */
  stop(): Promise<void>;
  /** Ends the server by SIGKILL and waits until it is gone. The data stays, for `restart()`. */
  kill(): Promise<void>;
  /** Freezes the server (SIGSTOP) and waits until it stands still. Connections stay open, nothing answers. */
  pause(): Promise<void>;
  /** Lets a paused server go on (SIGCONT). */
  resume(): Promise<void>;
  /**
   * Ends the server gracefully unless it is down already, then starts it on the same port and data. Resolves
   * when it answers, as at the first start; a server that does not within `timeout` is killed and the call
   * rejects. After `stop()`, temporary data begins empty.
   */
  restart(options?: RestartOptions): Promise<void>;
  /**
   * Replaces the appended configuration of a running server (SIGHUP) and resolves when it is in use. Connections
   * stay, except those that the new configuration does not allow. Needs server 2.11 or later.
   *
   * @throws Error if the server refuses the configuration, or has said nothing of it within `timeout`.
   */
  reload(config: string): Promise<void>;
}

export interface NatsClusterOptions {
  /** Number of servers, at least 2. Default: 3. */
  size?: number;
  /** Path of the nats-server binary. Default: see {@link findNatsServer}. */
  binary?: string;
  /** nats-server configuration appended on every server. */
  config?: string;
  /** Holds one data directory per server (`n1`, `n2`, …) and is kept. Default: temporary, removed by `stop()`. */
  dataDir?: string;
  /** How long the start of the whole cluster may take, in milliseconds. Default: 45 000. */
  timeout?: number;
}

/** Servers on 127.0.0.1 that share one JetStream. */
export interface NatsCluster extends AsyncDisposable {
  /**
   * Each can be killed, paused and restarted on its own; ports stay. With a majority of the cluster up,
   * `restart()` resolves when that server has caught up; without one, when it accepts connections.
   */
  readonly servers: readonly NatsServer[];
  readonly urls: string[];
  /** Stops every server. */
  stop(): Promise<void>;
}
