import { html } from "./html.js";
import { layout, type Site } from "./layout.js";
import { moment } from "./time.js";
import type { User } from "./users.js";

export interface ProfileView {
  csrf: string;
  user: User;
  /** Times this page was shown in this session. */
  visits: number;
  /** Unix milliseconds. */
  signedInAt: number;
}

export function profilePage(site: Site, { csrf, user, visits, signedInAt }: ProfileView): string {
  return layout(
    site,
    user.name,
    html`<section class="card">
<div class="person">
<span class="avatar" aria-hidden="true">${initials(user.name)}</span>
<div>
<h1>${user.name}</h1>
<p class="quiet">Signed in as <code>${user.id}</code></p>
</div>
</div>
<dl class="facts">
<div class="counter"><dt>${visits === 1 ? "visit" : "visits"} in this session</dt><dd id="visits">${visits}</dd></div>
<div><dt>Signed in</dt><dd>${moment(signedInAt)}</dd></div>
</dl>
<div class="actions">
<a class="button" href="/">Visit again</a>
<form method="post" action="/sign-out">
<input type="hidden" name="csrf" value="${csrf}">
<button class="plain" type="submit">Sign out</button>
</form>
</div>
</section>
<section class="hint" aria-labelledby="try">
<h2 id="try">Try it</h2>
<ul>
<li>Sign in to the other application, or with another browser, and see <a href="/devices">where you are signed in</a>.</li>
<li>Stop everything with Ctrl-C and start it again: you are still signed in.</li>
<li>Freeze NATS, with Enter in the terminal of <code>npm run demo</code>: pages fail, and you stay signed in.</li>
</ul>
</section>`,
    { shape: "pair", script: "/times.js" },
  );
}

function initials(name: string): string {
  const words = name.split(/\s+/).filter(Boolean);
  return [words.at(0), words.length > 1 ? words.at(-1) : undefined]
    .map((word) => (word === undefined ? "" : String.fromCodePoint(word.codePointAt(0) ?? 0)))
    .join("");
}
