import { type Html, html } from "./html.js";

/** A moment (unix milliseconds), to be read by people and by programs. */
export function moment(time: number): Html {
  return html`<time datetime="${new Date(time).toISOString()}">${format.format(time)} UTC</time>`;
}

const format = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short", timeZone: "UTC" });
