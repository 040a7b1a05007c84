import { koaFramework } from "../support/koa.js";
import { specifyReleases } from "./releases.js";

specifyReleases(koaFramework, ["koa-redis"]);
