import { type Html, html } from "./html.js";

/** What differs between the two applications on every page. */
export interface Site {
  /** Name of the framework, shown as a small label. */
  framework: string;
}

export interface LayoutOptions {
  /** How a wide window is used: `list` in full, `pair` for two sections beside each other. Default: one narrow column. */
  shape?: "list" | "pair";
  /** Path of a script module. */
  script?: string;
}

/** The document around the content of a page. */
export function layout(site: Site, title: string, content: Html, options: LayoutOptions = {}): string {
  const { shape, script } = options;
  return html`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${title} · ${site.framework} login</title>
<link rel="icon" href="/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/style.css">
${script !== undefined && html`<script type="module" src="${script}"></script>`}
</head>
<body class="${shape}">
<header class="bar">
<a class="brand" href="/"><img src="/icon.svg" alt="" width="28" height="28"> Sessions in NATS</a>
<span class="badge">on ${site.framework}</span>
</header>
<main>
${content}
</main>
<footer>
<p>The session is an entry in a NATS JetStream bucket. Restart this app, or the server: you stay signed in.</p>
</footer>
</body>
</html>
`.toString();
}
