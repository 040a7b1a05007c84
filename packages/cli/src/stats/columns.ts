import type { Column } from "../output/format.js";
import { isoTime } from "../output/text.js";
import type { Activity, Totals } from "./totals.js";

export interface StatsRow {
  readonly bucket: string;
  readonly totals: Totals;
  readonly activity: Activity;
  readonly at: number;
}

/** The fields of `stats` in JSON and CSV; in JSON the sessions by key follow. */
export const STATS_COLUMNS: readonly Column<StatsRow>[] = [
  { name: "at", value: ({ at }) => isoTime(at) },
  { name: "bucket", value: ({ bucket }) => bucket },
  { name: "live", value: ({ totals }) => totals.live },
  { name: "users", value: ({ totals }) => totals.users },
  { name: "tombstones", value: ({ totals }) => totals.tombstones },
  { name: "expired", value: ({ totals }) => totals.expired },
  { name: "unreadable", value: ({ totals }) => totals.unreadable },
  { name: "sessionBytes", value: ({ totals }) => totals.sessionBytes },
  { name: "bucketBytes", value: ({ totals }) => totals.bucketBytes },
  { name: "plain", value: ({ totals }) => totals.keys.get("") ?? 0 },
  { name: "exact", value: ({ totals }) => totals.isExact },
  { name: "entries", value: ({ totals }) => totals.entries },
  { name: "signInsPerMinute", value: ({ activity }) => activity.signIns },
  { name: "endsPerMinute", value: ({ activity }) => activity.ends },
  { name: "expiriesPerMinute", value: ({ activity }) => activity.expiries },
  { name: "mergesPerMinute", value: ({ activity }) => activity.merges },
];
