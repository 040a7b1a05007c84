export { type Asset, assetCacheControl, readAssets } from "./assets.js";
export { formField, holdsCsrfToken, newCsrfToken } from "./csrf.js";
export { type Device, deviceOf, type SignInRequest } from "./device.js";
export { type DeviceEventsOptions, deviceEvents, eventStreamHeaders } from "./device-events.js";
export { type DeviceList, listDevices, type Sessions, type SignedInDevice } from "./devices.js";
export { type DevicesView, deviceList, devicesPage, endedNotice, noSuchDevice } from "./devices-page.js";
export { errorPage } from "./error-page.js";
export { type CheckedSessions, healthOf } from "./health.js";
export { type Html, type HtmlValue, html } from "./html.js";
export { type LayoutOptions, layout, type Site } from "./layout.js";
export {
  isStoreError,
  isVisitorGone,
  logLine,
  type Problem,
  type ProblemText,
  problemOf,
  Refusal,
} from "./problem.js";
export { type ProfileView, profilePage } from "./profile-page.js";
export { securityHeaders } from "./security-headers.js";
export { type ServeOptions, serve } from "./serve.js";
export { type LoginSession, signedInSession } from "./session-data.js";
export { readSettings, type Settings } from "./settings.js";
export { type SignInView, signInPage } from "./sign-in-page.js";
export { start } from "./start.js";
export { storeOptions } from "./store-options.js";
export { type Account, createUserDirectory, demoAccounts, type User, type UserDirectory } from "./users.js";
