import type { DeviceList, SignedInDevice } from "./devices.js";
import { type Html, html } from "./html.js";
import { layout, type Site } from "./layout.js";
import type { ProblemText } from "./problem.js";
import { moment } from "./time.js";
import type { User } from "./users.js";

export interface DevicesView extends DeviceList {
  csrf: string;
  user: User;
  /** What the form that was sent before has done. */
  notice?: string | undefined;
}

/** The page lives by the script `devices.js`, and works without it. */
export function devicesPage(site: Site, view: DevicesView): string {
  const { csrf, user, notice } = view;
  return layout(
    site,
    "Your devices",
    html`<section class="card">
<h1 tabindex="-1">Your devices</h1>
<p>Where <code>${user.id}</code> is signed in, in either application.</p>
<p id="notice" class="notice" role="status" ${notice && html`tabindex="-1" autofocus`}>${notice}</p>
${deviceList(view)}
<div class="actions">
${endForm("/devices/end-others", csrf, html`Sign out all others`, { kind: "" })}
<details class="ask">
<summary class="button plain">Sign out everywhere…</summary>
<p>This signs you out on all devices, on this one too.</p>
${endForm("/devices/end-all", csrf, html`Yes, sign out everywhere`, { kind: "danger" })}
</details>
</div>
</section>
<p class="back"><a href="/">Back to your profile</a></p>
<template id="signed-out">
<section class="card">
<h1 tabindex="-1">You were signed out</h1>
<p role="alert"></p>
<div class="actions"><a class="button" href="/sign-in">Sign in again</a></div>
</section>
</template>`,
    { shape: "list", script: "/devices.js" },
  );
}

/** The part of the page that changes. `data-now` lets a browser whose clock is wrong count from ours. */
export function deviceList({ csrf, user, devices, isCut }: DevicesView): Html {
  return html`<div id="devices" data-user="${user.id}" data-now="${Date.now()}">
<ul class="devices" aria-label="Your devices">
${devices.map((device) => deviceItem(device, csrf))}</ul>
${isCut && html`<p class="quiet">These are the newest ones; there are more.</p>`}
</div>`;
}

function deviceItem(device: SignedInDevice, csrf: string): Html {
  const { handle, isThis, browser, kind, address, app, signedInAt, lastSeenAt } = device;
  const name = `${browser}${app && ` (${app})`}`;
  return html`<li data-handle="${handle}" data-name="${name}" ${isThis && html`data-this`}>
<span class="avatar" aria-hidden="true">${icons[kind]}</span>
<div class="about">
<h2>${browser}${isThis && html` <span class="badge this">This device</span>`}</h2>
<p class="quiet">${[app && `${app} app`, address].filter(Boolean).join(" · ")}</p>
<p class="quiet since">Signed in ${moment(signedInAt)}</p>
<p class="seen">${isThis ? "Active now" : html`Last seen ${moment(lastSeenAt)}`}</p>
</div>
${isThis ? signOutForm(csrf) : endForm("/devices/end", csrf, html`Sign out<span class="unseen"> ${name}, signed in ${moment(signedInAt)}</span>`, { handle })}
</li>
`;
}

interface EndFormOptions {
  handle?: string;
  /** Look of the button. Default: a plain one. */
  kind?: "" | "plain" | "danger";
}

function endForm(
  action: string,
  csrf: string,
  label: Html,
  { handle, kind = "plain" }: EndFormOptions = {},
): Html {
  return html`<form method="post" action="${action}" ${action !== "/devices/end-all" && html`data-live`}>
<input type="hidden" name="csrf" value="${csrf}">
${handle !== undefined && html`<input type="hidden" name="handle" value="${handle}">`}
<button class="${kind}" type="submit">${label}</button>
</form>`;
}

const signOutForm = (csrf: string): Html => html`<form method="post" action="/sign-out">
<input type="hidden" name="csrf" value="${csrf}">
<button class="plain" type="submit">Sign out<span class="unseen"> this device</span></button>
</form>`;

/** Told for whatever is not a live session of the person, so that nobody learns of other people's. */
export const noSuchDevice: ProblemText = [
  "That device is not signed in",
  "It may have been signed out meanwhile. Nothing was changed.",
];

/** Says how many other devices a form has signed out. */
export function endedNotice(count: number): string {
  if (count === 0) return "No other device was signed in.";
  return count === 1 ? "One other device was signed out." : `${count} other devices were signed out.`;
}

const icons: Readonly<Record<SignedInDevice["kind"], Html>> = {
  phone: html`<svg viewBox="0 0 24 24"><rect x="7" y="3" width="10" height="18" rx="2"/><path d="M11 18h2"/></svg>`,
  computer: html`<svg viewBox="0 0 24 24"><rect x="4" y="5" width="16" height="11" rx="1.5"/><path d="M2 19.5h20"/></svg>`,
  other: html`<svg viewBox="0 0 24 24"><circle cx="12" cy="12" r="8.5"/><path d="M3.5 12h17M12 3.5c5 5 5 12 0 17M12 3.5c-5 5-5 12 0 17"/></svg>`,
};
