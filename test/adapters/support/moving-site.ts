import type { MigrationPhase, SessionSource } from "connect-nats";
import { PATIENCE } from "../../support/patient.js";
import { newBucket } from "../../support/variants.js";
import { type App, stopApp } from "./app.js";
import type { AdapterStore, Framework } from "./framework.js";
import type { Closed, OldDatabase } from "./old-stores.js";
import type { Settings, Visit } from "./visit.js";
import type { Visitor } from "./visitor.js";

/** A process of the release before, of a phase, or of the release after, which knows this store alone. */
export type Release = "old" | MigrationPhase | "new";

/** All releases of an application, in the order of a migration. */
export const RELEASES: readonly Release[] = ["old", "old-first", "new-first", "new-only", "new"];

interface Process {
  readonly app: App<Visit>;
  readonly store: AdapterStore & { readonly sessions?: AdapterStore["sessions"] };
}

/** An application on its way from one store to another, with a process of each release as it is asked for. */
export class MovingSite {
  readonly bucket = newBucket();
  readonly #opened: Closed[] = [];
  readonly #processes = new Map<Release, Promise<Process>>();

  constructor(
    // biome-ignore lint/suspicious/noExplicitAny: any of the frameworks
    readonly framework: Framework<any, any, any>,
    private readonly source: SessionSource,
    private readonly old: OldDatabase,
    private readonly settings: Settings = { maxAge: 3_600_000 },
  ) {}

  async app(release: Release): Promise<App<Visit>> {
    return (await this.#process(release)).app;
  }

  /** The store of a process. */
  // biome-ignore lint/suspicious/noExplicitAny: of this project, or the old one
  async store(release: Release): Promise<any> {
    return (await this.#process(release)).store;
  }

  async visitor(): Promise<Visitor<Visit>> {
    return (await this.app("old")).visitor();
  }

  idOf(visitor: Visitor<Visit>): string {
    return this.framework.idOf(visitor) as string;
  }

  /** The session as a process finds it, without what belongs to the framework; `undefined` where there is none. */
  async look(visitor: Visitor<Visit>, release: Release): Promise<Record<string, unknown> | undefined> {
    const { result } = await visitor
      .copy(await this.app(release))
      .visit(({ session }) => JSON.stringify(session));
    const { cookie: _cookie, natsMigration: _mark, ...data } = JSON.parse(result as string);
    return data.user === undefined ? undefined : data;
  }

  async close(): Promise<void> {
    for (const process of this.#processes.values()) {
      const { app, store } = await process;
      await stopApp(app);
      if (store.sessions) await store.close();
    }
    await Promise.all(this.#opened.map((one) => one.close()));
  }

  #process(release: Release): Promise<Process> {
    let process = this.#processes.get(release);
    if (!process) {
      process = this.#start(release);
      this.#processes.set(release, process);
    }
    return process;
  }

  async #start(release: Release): Promise<Process> {
    const [old, opened] = await this.old.open();
    this.#opened.push(opened);
    const options = { bucket: this.bucket, timeout: PATIENCE, touchAfter: 0 };
    const phase = release === "new" ? {} : { migrateFrom: { store: old, phase: release } };
    const store = release === "old" ? old : new this.framework.Store(this.source, { ...options, ...phase });
    return { app: await this.framework.start(store, this.settings), store };
  }
}
