import type { Format } from "../output/format.js";
import type { Style, Terminal } from "../output/terminal.js";
import { jsonLine, printable } from "../output/text.js";
import { type Finding, type Metric, type Status, worst } from "./check.js";

const STYLES: { readonly [status in Status]: Style } = {
  ok: "green",
  unknown: "dim",
  warning: "yellow",
  critical: "red",
};

/** Names of metrics begin with it. */
const PREFIX = "nats_sessions_";

const CODES: { readonly [status in Status]: number } = { ok: 0, warning: 1, critical: 2, unknown: 3 };

export async function printFindings(
  findings: readonly Finding[],
  bucket: string,
  format: Format,
  terminal: Terminal,
): Promise<void> {
  if (format === "json")
    await terminal.print(...findings.map((finding) => jsonLine(objectOf(finding, bucket))));
  else if (format === "prometheus") await terminal.print(...metricLines(findings, bucket));
  else await terminal.print(...textLines(findings, terminal));
}

function objectOf({ check, bucket, status, text, metrics = [] }: Finding, all: string): object {
  return {
    check,
    bucket: bucket ?? all,
    status,
    text,
    metrics: metrics.map(({ name, value, labels = {} }) => ({ name, value, labels })),
  };
}

/** The first line is the one that monitoring systems show. */
function textLines(findings: readonly Finding[], terminal: Terminal): string[] {
  const status = worst(findings.map((finding) => finding.status));
  const bad = findings.filter((finding) => finding.status === "warning" || finding.status === "critical");
  const summary = bad.length > 0 ? bad.map(titleOf).join(", ") : `${findings.length} checks`;
  const width = Math.max(...findings.map((finding) => titleOf(finding).length));
  return [
    `${terminal.style(STYLES[status], `SESSIONS ${status.toUpperCase()}`)} - ${summary}`,
    ...findings.map(
      (finding) =>
        `${terminal.style(STYLES[finding.status], finding.status.padEnd(8))}  ${titleOf(finding).padEnd(width)}  ${printable(finding.text)}`,
    ),
  ];
}

function titleOf({ check, bucket }: Finding): string {
  return bucket === undefined ? check : `${check} ${bucket}`;
}

/** The text format of Prometheus; each metric has its lines in a row. */
function metricLines(findings: readonly Finding[], bucket: string): string[] {
  const states: Metric[] = findings.map(({ check, bucket: own, status }) => ({
    name: "check_status",
    help: "What a check found: 0 ok, 1 warning, 2 critical, 3 not checked",
    value: CODES[status],
    labels: { ...(own === undefined ? {} : { bucket: own }), check },
  }));
  const numbers = findings.flatMap(({ metrics = [], bucket: own }) =>
    own === undefined
      ? metrics
      : metrics.map((metric) => ({ ...metric, labels: { bucket: own, ...metric.labels } })),
  );
  const all = [...states, ...numbers];
  const names = [...new Set(all.map(({ name }) => name))];
  return names.flatMap((name) => {
    const metrics = all.filter((metric) => metric.name === name);
    return [
      `# HELP ${PREFIX}${name} ${metrics[0]?.help}`,
      `# TYPE ${PREFIX}${name} gauge`,
      ...metrics.map(
        ({ labels = {}, value }) => `${PREFIX}${name}{${labelsText({ bucket, ...labels })}} ${value}`,
      ),
    ];
  });
}

function labelsText(labels: { readonly [name: string]: string }): string {
  return Object.entries(labels)
    .map(([name, value]) => `${name}="${printable(value).replace(/["\\]/g, "\\$&")}"`)
    .join(",");
}
