// Shows times as people say them, in the visitor's own time zone. Without this script they are shown in UTC.

const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });
const absolute = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short" });

showTimes(document, Date.now());

/** @param now by the clock that the times were taken from (Unix ms) */
export function showTimes(root, now) {
  for (const time of root.querySelectorAll("time")) {
    const moment = Date.parse(time.dateTime);
    const text = textOf(moment, now);
    const title = absolute.format(moment);
    if (time.textContent !== text) time.textContent = text;
    if (time.title !== title) time.title = title;
  }
}

/** How long ago it was; the date and time, where that is more than a day. */
function textOf(moment, now) {
  const minutes = Math.round((now - moment) / 60_000);
  if (minutes < 1) return "just now";
  if (minutes < 60) return relative.format(-minutes, "minute");
  if (minutes < 24 * 60) return relative.format(-Math.round(minutes / 60), "hour");
  return absolute.format(moment);
}
