/** What may stand between `${` and `}` in an `html` template. */
export type HtmlValue = Html | string | number | false | null | undefined | readonly HtmlValue[];

/** Text that the `html` tag has built; it is inserted into other templates as it is. */
export type Html = MarkupText;

class MarkupText {
  readonly #text: string;

  constructor(text: string) {
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

const entities: ReadonlyMap<string, string> = new Map([
  ["&", "&amp;"],
  ["<", "&lt;"],
  [">", "&gt;"],
  ['"', "&quot;"],
  ["'", "&#39;"],
]);

/**
 * Builds HTML. Every inserted value is escaped unless it was built by `html` itself; lists are joined, and
 * `false`, `null` and `undefined` leave nothing. Quote the attributes that hold a value.
 */
export function html(parts: TemplateStringsArray, ...values: readonly HtmlValue[]): Html {
  const inserted = values.map(markup);
  return new MarkupText(parts.map((part, index) => part + (inserted[index] ?? "")).join(""));
}

function markup(value: HtmlValue): string {
  if (value instanceof MarkupText) return value.toString();
  if (value === false || value === null || value === undefined) return "";
  if (typeof value === "object") return value.map(markup).join("");
  return String(value).replace(/[&<>"']/g, (character) => entities.get(character) ?? character);
}
