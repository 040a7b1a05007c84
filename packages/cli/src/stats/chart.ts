const BARS = ["▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"];

/** A line of bars, one for each number, the newest on the right; the highest number has the full height. */
export function barsOf(numbers: readonly number[], width: number): string {
  const shown = numbers.slice(-width);
  const most = Math.max(1, ...shown);
  const bars = shown.map((number) => BARS[Math.round((Math.max(0, number) / most) * (BARS.length - 1))]);
  return bars.join("").padStart(width);
}
