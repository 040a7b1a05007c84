import { expressFramework } from "../support/express.js";
import { specifyReleases } from "./releases.js";

specifyReleases(expressFramework, ["connect-redis", "connect-pg-simple"]);
