import { BASE } from "../variants.mjs";
import { barChart, lineChart } from "./chart.mjs";
import { number } from "./tables.mjs";

/** What of the results is drawn: file → chart. */
export function chartsOf(results) {
  const charts = {};
  if (results.http) charts["http.svg"] = http(results.http);
  if (results.store) charts["store.svg"] = store(results.store);
  if (results.scale) charts["scale.svg"] = scale(results.scale, results["scale-10m"] ?? results.scale);
  if (results.replicas) charts["replicas.svg"] = replicas(results.replicas);
  return charts;
}

function http({ medians }) {
  const panels = groupsOf(medians).map(([workload, rows]) => barPanel(workload, rows, "requests/s"));
  return barChart("HTTP requests per second through Express, and the ratio to connect-redis", panels);
}

function store({ medians }) {
  const panels = groupsOf(medians)
    .filter(([group]) => /^(load|save), (1|64) in flight$/.test(group))
    .map(([group, rows]) =>
      barPanel(
        group,
        rows.filter(([name]) => name !== "MemoryStore"),
        "op/s",
      ),
    );
  return barChart("Operations per second without HTTP, and the ratio to connect-redis", panels);
}

/** One bucket and Redis from the one record, several buckets from that with the most sessions. */
function scale(usual, largest) {
  const one = groupsOf(usual.medians).find(([group]) => group === "one bucket");
  const several = groupsOf(largest.medians).find(([group]) => group !== "one bucket");
  const line = ([group, rows], role, column, name = group) => ({
    name,
    role,
    points: rows
      .filter(([, columns]) => column in columns)
      .map(([size, columns]) => [Number(size.replace(/\D/g, "")), columns[column]]),
  });
  const panel = (title, unit, lines) => ({
    title,
    unit,
    lines: lines.filter(({ points }) => points.length > 0),
  });
  const latency = (operation, column) =>
    panel(`${operation}, one after the other`, "ms", [
      line(several, "ours", column),
      line(one, "other", column),
    ]);
  const place = (title, unit, column) =>
    panel(title, unit, [
      line(several, "ours", `nats-server ${column}`),
      line(one, "other", `nats-server ${column}`),
      line(one, "base", `redis ${column}`, "Redis"),
    ]);
  return lineChart("Live sessions on one node", [
    latency("Load", "load ms"),
    latency("Save", "save ms"),
    latency("Sign-in", "signIn ms"),
    latency("List of a user", "listByUser ms"),
    place("Memory of the server", "MB", "MB"),
    place("Back after kill -9", "s", "back s"),
  ]);
}

/** All servers up, and one down. */
function replicas({ medians }) {
  const roles = { R1: "base", R3: "ours" };
  const bar = (name, value, ratio, role) => ({ name, value, label: `${number(value)} · ${ratio} ×`, role });
  const panels = groupsOf(medians)
    .filter(([, rows]) => rows.every(([, cells]) => "op/s" in cells))
    .map(([title, rows]) => ({
      title,
      bars: rows.flatMap(([name, cells]) => [
        bar(name, cells["op/s"], cells["/ R1"], roles[name] ?? "other"),
        bar(`${name}, one down`, cells["down op/s"], cells["down / R1"], roles[name] ?? "other"),
      ]),
    }));
  return barChart("Operations per second in a cluster of three, and the ratio to one copy", panels);
}

function barPanel(title, rows, column) {
  const bars = rows.map(([name, cells]) => {
    const ratio = cells[`/ ${BASE}`];
    const label = number(cells[column]) + (ratio ? ` · ${ratio} ×` : "");
    return { name: name.replace("append-only file", "AOF"), value: cells[column], label, role: roleOf(name) };
  });
  return { title, bars };
}

function roleOf(name) {
  if (/^connect-nats|^nats-session-store/.test(name)) return "ours";
  return name === BASE ? "base" : "other";
}

/** Rows named `group: name`, by group. */
export function groupsOf(medians) {
  const groups = new Map();
  for (const [key, cells] of Object.entries(medians)) {
    const [group, name] = key.split(": ");
    if (!groups.has(group)) groups.set(group, []);
    groups.get(group).push([name, cells]);
  }
  return [...groups];
}
