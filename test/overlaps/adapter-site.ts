import type { EventEmitter } from "node:events";
import type { GoneEvent } from "connect-nats";
import { type App, stopApp } from "../adapters/support/app.js";
import type { AdapterStore } from "../adapters/support/framework.js";
import type { frameworks } from "../adapters/support/frameworks.js";
import type { Visit } from "../adapters/support/visit.js";
import type { Visitor } from "../adapters/support/visitor.js";
import { PATIENCE } from "../support/patient.js";
import type { Browser, Data, Request } from "./scenarios.mjs";
import { type OpenSite, Processes, type Site } from "./site.js";

type AnyFramework = (typeof frameworks)[number];

/** Applications of a framework, asked over HTTP. */
export function adapterSite(framework: AnyFramework): OpenSite {
  return async (connections, options, settings) => {
    const open = (nc: (typeof connections)[number]) =>
      framework.Store.open(nc, { timeout: PATIENCE, ...options });
    const stores = await Promise.all(connections.map(open));
    const apps = await Promise.all(stores.map((store) => framework.start(store, settings)));
    return new AdapterSite(framework, stores, apps);
  };
}

class AdapterSite implements Site<AdapterBrowser> {
  readonly gone: string[] = [];
  readonly processes: Processes<App<Visit>>;

  constructor(
    private readonly framework: AnyFramework,
    private readonly stores: AdapterStore[],
    private readonly apps: App<Visit>[],
  ) {
    this.processes = new Processes(apps);
    for (const store of stores) {
      (store as unknown as EventEmitter).on("gone", ({ operation }: GoneEvent) => this.gone.push(operation));
    }
  }

  get failures(): unknown[] {
    return this.apps.flatMap(({ failures }) => failures);
  }

  browser(): AdapterBrowser {
    return new AdapterBrowser(this.processes, (this.apps[0] as App<Visit>).visitor());
  }

  idOf({ visitor }: AdapterBrowser): string | undefined {
    return this.framework.idOf(visitor);
  }

  async look({ visitor }: AdapterBrowser): Promise<Data> {
    const { result } = await visitor.copy().visit(({ session }) => JSON.stringify(session));
    const { cookie: _cookie, ...data } = JSON.parse(result as string);
    return data;
  }

  async expiryOf(id: string): Promise<number | undefined> {
    return (await this.stores[0]?.sessions.load(id))?.expiresAt;
  }

  async count(): Promise<number> {
    return (await this.stores[0]?.sessions.count({ exact: true })) as number;
  }

  async close(): Promise<void> {
    await Promise.all(this.apps.map((app) => stopApp(app)));
    await Promise.all(this.stores.map((store) => store.close()));
  }
}

class AdapterBrowser implements Browser {
  constructor(
    private readonly processes: Processes<App<Visit>>,
    readonly visitor: Visitor<Visit>,
  ) {}

  copy(): AdapterBrowser {
    return new AdapterBrowser(this.processes, this.visitor.copy());
  }

  send(step: (request: Request) => unknown): Promise<undefined> {
    return this.processes.run(async (app) => {
      // What a step returns is nothing that could be sent.
      await this.visitor.visit(async (visit) => void (await step(requestOf(visit))), app);
      return undefined;
    });
  }
}

function requestOf(visit: Visit): Request {
  return {
    get session() {
      return visit.session;
    },
    save: visit.save,
    signOut: visit.destroy,
    signInAs: async (user) => {
      await visit.regenerate();
      visit.session.user = user;
    },
    setMaxAge: visit.setMaxAge,
  };
}
