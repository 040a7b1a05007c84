import { html } from "./html.js";
import { layout, type Site } from "./layout.js";
import type { Account } from "./users.js";

export interface SignInView {
  csrf: string;
  /** Shown with their passwords: this is a demonstration. */
  accounts: readonly Account[];
  /** User name of an attempt that failed. */
  refused?: string;
}

export function signInPage(site: Site, { csrf, accounts, refused }: SignInView): string {
  const failed = refused !== undefined;
  return layout(
    site,
    failed ? "Not signed in" : "Sign in",
    html`<section class="card">
<h1>Sign in</h1>
${failed && html`<p class="alert" role="alert" id="refusal">Wrong user name or password</p>`}
<form method="post" action="/sign-in">
<input type="hidden" name="csrf" value="${csrf}">
<label for="user">User name</label>
<input id="user" name="user" value="${refused}" autocomplete="username" autocapitalize="none" spellcheck="false"
  maxlength="64" required ${failed ? describedByRefusal : autofocus}>
<label for="password">Password</label>
<input id="password" name="password" type="password" autocomplete="current-password"
  maxlength="256" required ${failed && html`${describedByRefusal} ${autofocus}`}>
<button type="submit">Sign in</button>
</form>
</section>
<section class="hint" aria-labelledby="accounts">
<h2 id="accounts">Demo accounts</h2>
<table>
<thead><tr><th scope="col">User name</th><th scope="col">Password</th></tr></thead>
<tbody>
${accounts.map(
  ({ id, password }) => html`<tr><td><code>${id}</code></td><td><code>${password}</code></td></tr>
`,
)}</tbody>
</table>
</section>`,
    { shape: "pair" },
  );
}

const autofocus = html`autofocus`;
const describedByRefusal = html`aria-invalid="true" aria-describedby="refusal"`;
