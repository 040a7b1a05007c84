import type { Database } from "./database.mjs";

export declare function startRedis(options: { appendOnly: boolean }): Promise<Database>;
