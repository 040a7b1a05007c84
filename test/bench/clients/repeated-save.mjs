import { fill, idOf, sessionData } from "./sessions.mjs";

/** Fills the store and saves its sessions, one after the other, each with changed data and the record of its last save. */
export async function repeatedSave(store, sessions) {
  const records = await fill(store, sessions);
  const ids = records.map((_, index) => idOf(index));
  const data = records.map((_, index) => sessionData(index));
  return async (index) => {
    const i = index % sessions;
    data[i].visits++;
    const { outcome, record } = await store.save(ids[i], data[i], { record: records[i] });
    if (outcome !== "saved") throw new Error(`The outcome of a save was ${outcome}`);
    records[i] = record;
  };
}
