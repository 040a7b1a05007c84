import { randomUUID } from "node:crypto";
import type { SessionRecord, SessionStore } from "nats-session-store";
import { openPatient } from "../support/patient.js";
import type { Browser, Data, Request, Settings } from "./scenarios.mjs";
import { type OpenSite, Processes, type Site } from "./site.js";

/** The core used as an adapter uses it, without a framework. */
export const openCoreSite: OpenSite = async (connections, options, settings) => {
  const stores = await Promise.all(connections.map((nc) => openPatient<Data>(nc, options)));
  return new CoreSite(stores, settings);
};

class CoreSite implements Site<CoreBrowser> {
  readonly gone: string[] = [];
  readonly failures: unknown[] = [];
  readonly processes: Processes<SessionStore<Data>>;

  constructor(
    private readonly stores: SessionStore<Data>[],
    readonly settings: Settings,
  ) {
    this.processes = new Processes(stores);
  }

  browser(): CoreBrowser {
    return new CoreBrowser(this);
  }

  idOf(browser: CoreBrowser): string | undefined {
    return browser.id;
  }

  async look({ id }: CoreBrowser): Promise<Data> {
    return (id !== undefined && (await this.#store.load(id))?.data) || {};
  }

  async expiryOf(id: string): Promise<number | undefined> {
    return (await this.#store.load(id))?.expiresAt;
  }

  count(): Promise<number> {
    return this.#store.count({ exact: true });
  }

  async close(): Promise<void> {
    await Promise.all(this.stores.map((store) => store.close()));
  }

  get #store(): SessionStore<Data> {
    return this.stores[0] as SessionStore<Data>;
  }
}

class CoreBrowser implements Browser {
  constructor(
    private readonly site: CoreSite,
    public id?: string,
  ) {}

  copy(): CoreBrowser {
    return new CoreBrowser(this.site, this.id);
  }

  send(step: (request: Request) => unknown): Promise<undefined> {
    return this.site.processes.run(async (store) => {
      const sent = this.id;
      const request = new CoreRequest(this.site, store, sent);
      try {
        await request.load();
        await step(request);
        await request.end();
      } catch (error) {
        this.site.failures.push(error);
      } finally {
        if (request.id !== sent) this.id = request.id;
      }
      return undefined;
    });
  }
}

class CoreRequest implements Request {
  session: Data = {};
  #record: SessionRecord<Data> | null = null;
  #stored = "{}";

  constructor(
    private readonly site: CoreSite,
    private readonly store: SessionStore<Data>,
    public id: string | undefined,
  ) {}

  async load(): Promise<void> {
    this.#record = this.id === undefined ? null : await this.store.load(this.id);
    this.session = this.#record?.data ?? {};
    this.#stored = JSON.stringify(this.session);
  }

  save = async (): Promise<void> => {
    if (!this.#record) this.id = randomUUID();
    const { outcome, record } = await this.store.save(this.id as string, this.session, {
      record: this.#record ?? undefined,
      ttl: this.site.settings.maxAge,
    });
    this.#done(outcome, "save", record);
  };

  /** As a framework does at the end of a request. */
  async end(): Promise<void> {
    if (JSON.stringify(this.session) !== this.#stored) return this.save();
    if (!this.#record || !this.site.settings.rolling) return;
    const ttl = this.site.settings.maxAge;
    const { outcome, record } = await this.store.touch(this.id as string, this.#record, { ttl });
    this.#done(outcome, "touch", record);
  }

  signOut = async (): Promise<void> => {
    if (this.#record) await this.store.destroy(this.id as string);
    this.id = undefined;
    this.#begin({});
  };

  signInAs = async (user: string): Promise<void> => {
    await this.signOut();
    this.session.user = user;
  };

  setMaxAge(): void {
    throw new Error("The core keeps no maxAge");
  }

  #begin(session: Data): void {
    this.#record = null;
    this.session = session;
    this.#stored = JSON.stringify(session);
  }

  #done(outcome: string, operation: string, record: SessionRecord<Data> | null): void {
    if (outcome === "gone") this.site.gone.push(operation);
    if (record) this.#record = record;
    this.#stored = JSON.stringify(this.session);
  }
}
