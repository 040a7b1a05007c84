import type { Command } from "../command.js";
import { audit } from "./audit.js";
import { doctor } from "./doctor.js";
import { end } from "./end.js";
import { init } from "./init.js";
import { list } from "./list.js";
import { migrate } from "./migrate.js";
import { show } from "./show.js";
import { stats } from "./stats.js";
import { upgrade } from "./upgrade.js";
import { watch } from "./watch.js";

/** In the order in which the help lists them. */
export const COMMANDS: readonly Command[] = [
  list,
  show,
  end,
  watch,
  stats,
  audit,
  doctor,
  init,
  upgrade,
  migrate,
];
