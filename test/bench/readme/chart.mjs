// Charts as SVG, readable on a light and on a dark page: they follow the reader's colour scheme.

/**
 * @typedef {"ours" | "base" | "other"} Role
 * @typedef {{ name: string, value: number, label: string, role: Role }} Bar
 * @typedef {{ title: string, bars: Bar[] }} BarPanel
 * @typedef {{ name: string, role: Role, points: [x: number, y: number][] }} Line
 * @typedef {{ title: string, unit: string, lines: Line[] }} LinePanel
 */

const WIDTH = 880;
const MARGIN = 20;
const GAP = 28;
const TITLE = 46;
const PANEL_TITLE = 26;

const style = `
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #1f2328 }
  .title { font-size: 15px; font-weight: 600 }
  .panel { font-size: 13px; font-weight: 600 }
  .quiet { fill: #59636e }
  .page { fill: #ffffff }
  .grid { stroke: #d1d9e0; stroke-width: 1 }
  .ours { fill: #0969da; stroke: #0969da }
  .base { fill: #bc4c00; stroke: #bc4c00 }
  .other { fill: #8c959f; stroke: #8c959f }
  text.ours, text.base, text.other { stroke: none }
  polyline { fill: none !important; stroke-width: 2 }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc }
    .quiet { fill: #9198a1 }
    .page { fill: #0d1117 }
    .grid { stroke: #3d444d }
    .ours { fill: #4493f8; stroke: #4493f8 }
    .base { fill: #f0883e; stroke: #f0883e }
    .other { fill: #767e89; stroke: #767e89 }
  }`;

/**
 * Panels of horizontal bars, two beside each other.
 *
 * @param {string} title
 * @param {BarPanel[]} panels
 */
export function barChart(title, panels) {
  const row = 22;
  const nameWidth = 172;
  const labelWidth = 92;
  const width = (WIDTH - 2 * MARGIN - GAP) / 2;
  const height = PANEL_TITLE + Math.max(...panels.map(({ bars }) => bars.length)) * row;
  const place = grid(width, height);
  const drawn = panels.map(({ title, bars }, index) => {
    const { x, y } = place(index);
    const scale = (width - nameWidth - labelWidth) / Math.max(...bars.map(({ value }) => value));
    const lines = bars.map(({ name, value, label, role }, i) => {
      const top = y + PANEL_TITLE + i * row;
      const length = Math.max(1, value * scale);
      return [
        text(x + nameWidth - 8, top + 13, name, "", "end"),
        `<rect class="${role}" x="${x + nameWidth}" y="${top + 2}" width="${length.toFixed(1)}" height="${row - 7}" rx="2"/>`,
        text(x + nameWidth + length + 6, top + 13, label, "quiet"),
      ].join("\n");
    });
    return [text(x, y + 13, title, "panel"), ...lines].join("\n");
  });
  return svg(title, place.bottom(panels.length), drawn);
}

/**
 * Panels of lines over a logarithmic number of sessions, two beside each other; values start at 0.
 *
 * @param {string} title
 * @param {LinePanel[]} panels
 */
export function lineChart(title, panels) {
  const height = 220;
  const left = 52;
  const right = 96;
  const width = (WIDTH - 2 * MARGIN - GAP) / 2;
  const place = grid(width, height);
  const drawn = panels.map(({ title, unit, lines }, index) => {
    const { x, y } = place(index);
    const points = lines.flatMap(({ points }) => points);
    const [first, last] = [Math.min, Math.max].map((pick) => Math.log10(pick(...points.map(([x]) => x))));
    const top = roundUp(Math.max(...points.map(([, y]) => y)));
    const [plotTop, plotBottom] = [y + PANEL_TITLE + 6, y + height - 22];
    const atX = (value) =>
      x + left + ((Math.log10(value) - first) / (last - first || 1)) * (width - left - right);
    const atY = (value) => plotBottom - (value / top) * (plotBottom - plotTop);
    const marks = [0, top / 2, top].map((value) => [
      `<line class="grid" x1="${x + left}" x2="${x + width - right}" y1="${atY(value)}" y2="${atY(value)}"/>`,
      text(x + left - 8, atY(value) + 4, `${short(value)}`, "quiet", "end"),
    ]);
    const sizes = [...new Set(points.map(([x]) => x))];
    const ticks = sizes.map((size) => text(atX(size), plotBottom + 17, short(size), "quiet", "middle"));
    const ends = apart(lines.map(({ points }) => atY(points.at(-1)[1])));
    const curves = lines.flatMap(({ name, role, points }, i) => [
      `<polyline class="${role}" points="${points.map(([x, y]) => `${atX(x).toFixed(1)},${atY(y).toFixed(1)}`).join(" ")}"/>`,
      ...points.map(
        ([x, y]) => `<circle class="${role}" cx="${atX(x).toFixed(1)}" cy="${atY(y).toFixed(1)}" r="3"/>`,
      ),
      text(x + width - right + 10, ends[i] + 4, name, role),
    ]);
    return [text(x, y + 13, `${title}, ${unit}`, "panel"), ...marks.flat(), ...ticks, ...curves].join("\n");
  });
  return svg(title, place.bottom(panels.length), drawn);
}

function svg(title, height, parts) {
  return `<svg xmlns="http://www.w3.org/2000/svg" width="${WIDTH}" height="${height}" viewBox="0 0 ${WIDTH} ${height}" role="img" aria-label="${escaped(title)}">
<style>${style}
</style>
<rect class="page" width="${WIDTH}" height="${height}" rx="6"/>
${text(MARGIN, 28, title, "title")}
${parts.join("\n")}
</svg>
`;
}

/** Places for panels of one size, two beside each other. */
function grid(width, height) {
  const place = (index) => ({
    x: MARGIN + (index % 2) * (width + GAP),
    y: TITLE + Math.floor(index / 2) * (height + GAP),
  });
  place.bottom = (count) => TITLE + Math.ceil(count / 2) * (height + GAP) - GAP + MARGIN;
  return place;
}

function text(x, y, content, role, anchor = "start") {
  return `<text class="${role}" x="${x.toFixed(1)}" y="${y.toFixed(1)}" text-anchor="${anchor}">${escaped(content)}</text>`;
}

/** Heights of labels, moved down where they would cover each other. */
function apart(heights) {
  const order = heights.map((_, index) => index).sort((a, b) => heights[a] - heights[b]);
  const moved = [...heights];
  for (const [i, index] of order.entries()) {
    if (i > 0) moved[index] = Math.max(moved[index], moved[order[i - 1]] + 14);
  }
  return moved;
}

/** The next of 1, 2, 4, 5, 10, 20, … so that half of it reads well. */
function roundUp(value) {
  const power = 10 ** Math.floor(Math.log10(value));
  return [1, 2, 4, 5, 10].find((step) => step * power >= value) * power;
}

function short(value) {
  if (value >= 1e6) return `${value / 1e6} M`;
  if (value >= 1e4) return `${value / 1e3} k`;
  return value.toLocaleString("en").replace(",", " ");
}

function escaped(content) {
  return content.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
