import { expressFramework } from "../support/express.js";
import { specifyWalks } from "./walks.js";

specifyWalks(expressFramework, ["connect-redis", "connect-pg-simple"]);
