import { html } from "./html.js";
import { layout, type Site } from "./layout.js";
import type { Problem } from "./problem.js";

export function errorPage(site: Site, { status, title, message }: Problem): string {
  return layout(
    site,
    title,
    html`<section class="card">
<p class="status">${status}</p>
<h1>${title}</h1>
<p role="alert">${message}</p>
<div class="actions"><a class="button" href="/">${status === 503 ? "Try again" : "To the start page"}</a></div>
</section>`,
  );
}
