import { readFileSync } from "node:fs";

export interface Asset {
  path: string;
  type: string;
  content: Buffer;
}

/** The files that both applications serve beside their pages. */
export function readAssets(): Asset[] {
  return [
    { path: "/style.css", type: "text/css; charset=utf-8", content: read("style.css") },
    { path: "/devices.js", type: "text/javascript; charset=utf-8", content: read("devices.js") },
    { path: "/times.js", type: "text/javascript; charset=utf-8", content: read("times.js") },
    { path: "/icon.svg", type: "image/svg+xml", content: read("icon.svg") },
  ];
}

export const assetCacheControl = "public, max-age=300";

const read = (name: string): Buffer => readFileSync(new URL(`../assets/${name}`, import.meta.url));
