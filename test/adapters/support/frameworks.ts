import { expressFramework } from "./express.js";
import type { AdapterStore, Framework } from "./framework.js";
import { koaFramework } from "./koa.js";
import type { Settings, Visit } from "./visit.js";

/** Both frameworks, for a specification that speaks of neither. */
export const frameworks = [expressFramework, koaFramework] as unknown as Framework<
  Visit,
  AdapterStore,
  Settings
>[];
