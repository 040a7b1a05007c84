import type { Database } from "./database.mjs";

export declare function startPostgres(): Promise<Database>;
