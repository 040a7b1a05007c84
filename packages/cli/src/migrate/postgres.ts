import { asked, driver } from "./driver.js";
import { parsedSession } from "./session-form.js";
import { BATCH, type Source } from "./source.js";

interface Row {
  readonly sid: string;
  readonly sess: string;
  readonly expire: string;
}

/** The part of the package `pg` that is used. */
interface PgClient {
  on(event: "error", listener: () => void): unknown;
  connect(): Promise<unknown>;
  query(text: string, values: readonly unknown[]): Promise<{ readonly rows: readonly Row[] }>;
  end(): Promise<unknown>;
}

interface PgDriver {
  readonly default: { readonly Client: new (options: { connectionString: string }) => PgClient };
}

/**
 * The sessions of connect-pg-simple.
 * @param table its name, with the schema before a dot where it has one
 */
export async function openPostgres(url: string, title: string, table: string, ttl: number): Promise<Source> {
  const { Client } = (await driver<PgDriver>("pg")).default;
  const client = new Client({ connectionString: url });
  client.on("error", () => {});
  await asked(title, client.connect());
  const name = table
    .split(".")
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join(".");
  // The column has no time zone in older tables: PostgreSQL knows what is meant.
  const text = `SELECT sid, sess::text AS sess, (extract(epoch FROM expire::timestamptz) * 1000)::bigint::text AS expire
    FROM ${name} WHERE $1::text IS NULL OR sid > $1 ORDER BY sid LIMIT ${BATCH}`;

  return {
    title,
    async *batches() {
      for (let last: string | null = null; ; ) {
        const { rows }: { readonly rows: readonly Row[] } = await asked(title, client.query(text, [last]));
        if (rows.length === 0) return;
        yield rows.map(({ sid, sess, expire }) => parsedSession(sid, sess, Number(expire), ttl));
        last = rows.at(-1)?.sid ?? null;
      }
    },
    close: async () => void (await client.end()),
  };
}
