/** Characters that could command a terminal or turn the direction of a text: C0, C1, bidirectional controls. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** The text with control characters written as escapes: whoever can write to the bucket must not reach the terminal. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, escaped);
}

/** JSON in one line that a terminal can show; the escapes are valid in JSON. */
export function jsonLine(value: unknown): string {
  return (JSON.stringify(value) ?? "null").replace(UNPRINTABLE, escaped);
}

function escaped(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/** A moment as ISO 8601 with milliseconds, for machines. */
export function isoTime(ms: number | undefined): string | null {
  return ms === undefined || !isDate(ms) ? null : new Date(ms).toISOString();
}

/** A moment as ISO 8601 in whole seconds, for people. */
export function shortTime(ms: number | undefined): string {
  return ms === undefined || !isDate(ms) ? "-" : `${new Date(ms).toISOString().slice(0, 19)}Z`;
}

/** The two largest units of a duration: `3d 4h`, `12m 5s`, `0s`. */
export function durationText(ms: number): string {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const units: [number, string][] = [
    [Math.floor(seconds / 86_400), "d"],
    [Math.floor(seconds / 3600) % 24, "h"],
    [Math.floor(seconds / 60) % 60, "m"],
    [seconds % 60, "s"],
  ];
  const first = units.findIndex(([number]) => number > 0);
  if (first === -1) return "0s";
  const parts = units.slice(first, first + 2).filter(([number]) => number > 0);
  return parts.map(([number, unit]) => `${number}${unit}`).join(" ");
}

export function bytesText(bytes: number): string {
  if (bytes < 1000) return `${bytes} B`;
  const units = ["kB", "MB", "GB", "TB", "PB"];
  const power = Math.min(units.length, Math.floor(Math.log10(bytes) / 3));
  return `${(bytes / 1000 ** power).toFixed(1)} ${units[power - 1]}`;
}

export function numberText(number: number): string {
  return number.toLocaleString("en-US");
}

/** `1 session`, `2 sessions`. */
export function counted(number: number, noun: string, plural = `${noun}s`): string {
  return `${numberText(number)} ${number === 1 ? noun : plural}`;
}

function isDate(ms: number): boolean {
  return Math.abs(ms) <= 8.64e15;
}
