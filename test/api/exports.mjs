import { Converter } from "typedoc";

const NAMES = {
  "core/src": "nats-session-store",
  "core/src/adapter": "nats-session-store/adapter",
  "core/src/admin": "nats-session-store/admin",
  "core/src/opentelemetry": "nats-session-store/opentelemetry",
  "express/src": "connect-nats",
  "koa/src": "koa-session-nats",
};

/** Names each module as it is imported, and warns of what it exports without a comment. */
export function load(app) {
  app.converter.on(Converter.EVENT_RESOLVE_BEGIN, ({ project }) => {
    for (const module of project.children ?? []) module.name = NAMES[module.name] ?? module.name;
  });
  app.converter.on(Converter.EVENT_RESOLVE_END, ({ project }) => {
    for (const module of project.children ?? []) {
      for (const exported of module.children ?? []) {
        const places = [exported, ...(exported.signatures ?? [])];
        const isGlobal = exported.sources?.every(({ fileName }) => fileName.endsWith("util/timers.ts"));
        if (exported.isReference() || isGlobal || places.some((place) => place.hasComment())) continue;
        app.logger.warn(`${module.name} exports ${exported.name} without a comment`);
      }
    }
  });
}
