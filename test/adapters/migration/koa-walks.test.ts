import { koaFramework } from "../support/koa.js";
import { specifyWalks } from "./walks.js";

specifyWalks(koaFramework, ["koa-redis"]);
