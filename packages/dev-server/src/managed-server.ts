import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { findNatsServer, natsServerVersion } from "./binary.js";
import { type Endpoints, isHealthy, jetStreamAnswers, readEndpoints, until } from "./readiness.js";
import { logLimit, ServerProcess } from "./server-process.js";
import type { NatsServer, NatsServerOptions, RestartOptions } from "./types.js";
import { guard, release } from "./watchdog.js";

const stopPatience = 5_000;

/** What the members of a cluster are started with in addition. */
export interface ClusterMembership {
  /** The `cluster` block. */
  config: string;
  /** Whether enough members are up for JetStream to answer. */
  hasMajority(): boolean;
}

export interface ManagedServerSettings extends NatsServerOptions {
  port: number;
  timeout: number;
  cluster?: ClusterMembership;
}

/** A port that a server was to listen on is in use. */
export class PortInUseError extends Error {}

/** A server with its directories, across restarts. */
export class ManagedServer implements NatsServer {
  readonly port: number;
  readonly #settings: ManagedServerSettings;
  #config: string;
  #binary: string | undefined;
  #jetstream: boolean;
  #version = "";
  #runDir: string | undefined;
  #process: ServerProcess | undefined;
  #endpoints: Endpoints = { client: "", monitor: "" };
  #earlierLog = "";
  #starting = false;
  #paused = false;
  #latest: Promise<unknown> = Promise.resolve();

  constructor(settings: ManagedServerSettings) {
    this.#settings = settings;
    this.port = settings.port;
    this.#config = settings.config ?? "";
    this.#binary = settings.binary;
    this.#jetstream = settings.jetstream ?? true;
  }

  get url(): string {
    return `nats://127.0.0.1:${this.port}`;
  }

  get monitorUrl(): string {
    return this.#endpoints.monitor;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  get version(): string {
    return this.#version;
  }

  get dataDir(): string {
    const { dataDir } = this.#settings;
    return dataDir === undefined ? join(this.#runDir ?? "", "data") : resolve(dataDir);
  }

  get running(): boolean {
    return this.#process !== undefined && this.#process.ended === undefined;
  }

  /** Running or about to, and not paused. */
  get up(): boolean {
    return (this.#starting || this.running) && !this.#paused;
  }

  get endpoints(): Endpoints {
    return this.#endpoints;
  }

  log(): string {
    return (this.#earlierLog + (this.#process?.log ?? "")).slice(-logLimit);
  }

  /** Starts a server that is down. One that does not become ready is killed. */
  async start(): Promise<void> {
    this.#starting = true;
    try {
      await this.#start();
    } catch (error) {
      await this.#process?.kill();
      throw error;
    } finally {
      this.#starting = false;
    }
  }

  async #start(): Promise<void> {
    const { timeout, cluster } = this.#settings;
    const deadline = Date.now() + timeout;
    const binary = findNatsServer(this.#binary === undefined ? {} : { binary: this.#binary });
    this.#version = await natsServerVersion(binary.path);
    const runDir = await this.#prepare();
    const portsDir = join(runDir, "ports");
    const args = ["--config", join(runDir, "server.conf"), "--store_dir", this.dataDir];
    args.push("--addr", "127.0.0.1", "--port", `${this.port}`, "--ports_file_dir", portsDir);
    const server = new ServerProcess(binary.path, args, this.#settings.env);
    this.#earlierLog = this.log();
    this.#process = server;
    this.#paused = false;

    const giveUp = (lastError: unknown) => this.#failure(server, deadline, lastError);
    this.#endpoints = await until(() => readEndpoints(portsDir, server.pid), giveUp);
    if (!this.#jetstream) return;
    await until(async () => {
      if (cluster === undefined) return jetStreamAnswers(this.#endpoints);
      if (!cluster.hasMajority()) return true;
      return (await isHealthy(this.#endpoints)) && jetStreamAnswers(this.#endpoints);
    }, giveUp);
  }

  stop(): Promise<void> {
    return this.#inTurn(async () => {
      await this.#process?.stop(stopPatience);
      const runDir = this.#runDir;
      if (runDir === undefined) return;
      await rm(runDir, { recursive: true, force: true, maxRetries: 5 });
      release(runDir);
    });
  }

  kill(): Promise<void> {
    return this.#inTurn(async () => this.#process?.kill());
  }

  async pause(): Promise<void> {
    this.#paused = true;
    await this.#process?.pause();
  }

  async resume(): Promise<void> {
    this.#process?.resume();
    this.#paused = false;
  }

  restart(options: RestartOptions = {}): Promise<void> {
    this.#starting = true;
    return this.#inTurn(async () => {
      await this.#process?.stop(stopPatience);
      this.#config = options.config ?? this.#config;
      this.#binary = options.binary ?? this.#binary;
      this.#jetstream = options.jetstream ?? this.#jetstream;
      await this.start();
    });
  }

  reload(config: string): Promise<void> {
    return this.#inTurn(async () => {
      this.#config = config;
      await this.#writeConfig(this.#runDir ?? "");
      await this.#process?.reload(this.#settings.timeout);
    });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }

  #inTurn(action: () => Promise<void>): Promise<void> {
    const result = this.#latest.then(action, action);
    this.#latest = result;
    return result;
  }

  /** Creates the directories and the configuration of the next start. */
  async #prepare(): Promise<string> {
    this.#runDir ??= await mkdtemp(join(tmpdir(), "nats-dev-server-"));
    const runDir = this.#runDir;
    guard(runDir);
    await rm(join(runDir, "ports"), { recursive: true, force: true });
    await mkdir(join(runDir, "ports"), { recursive: true });
    await mkdir(this.dataDir, { recursive: true });
    await this.#writeConfig(runDir);
    return runDir;
  }

  async #writeConfig(runDir: string): Promise<void> {
    const { name = `dev-${this.port}`, cluster } = this.#settings;
    const lines = [`server_name: ${JSON.stringify(name)}`, `http: "127.0.0.1:-1"`];
    if (this.#jetstream) lines.push("jetstream: enabled");
    if (cluster !== undefined) lines.push(cluster.config);
    lines.push(this.#config, "");
    await writeFile(join(runDir, "server.conf"), lines.join("\n"));
  }

  #failure(server: ServerProcess, deadline: number, lastError: unknown): Error | undefined {
    const { timeout } = this.#settings;
    const tail = `Its log ends with:\n${server.log.split("\n").slice(-16).join("\n")}`;
    if (server.ended !== undefined) {
      const message = `nats-server ${this.#version} on port ${this.port} ${server.ended} before it was ready. ${tail}`;
      return isPortInUse(server.log) ? new PortInUseError(message) : new Error(message);
    }
    if (Date.now() < deadline) return undefined;
    const message = `nats-server ${this.#version} on port ${this.port} was not ready within ${timeout} ms. ${tail}`;
    return new Error(message, { cause: lastError });
  }
}

function isPortInUse(log: string): boolean {
  return /address already in use|Only one usage of each socket address/i.test(log);
}
