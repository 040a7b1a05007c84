import type { Step } from "../tour.js";
import { step as bucket } from "./bucket.js";
import { step as compare } from "./compare.js";
import { step as config } from "./config.js";
import { step as crud } from "./crud.js";
import { step as discovery } from "./discovery.js";
import { step as flags } from "./flags.js";
import { step as history } from "./history.js";
import { step as locks } from "./locks.js";
import { step as revisions } from "./revisions.js";
import { step as sessions } from "./sessions.js";
import { step as ttl } from "./ttl.js";
import { step as watch } from "./watch.js";

/** All steps, in the order of the tour. */
export const steps: Readonly<Record<string, Step>> = {
  bucket,
  crud,
  history,
  revisions,
  watch,
  ttl,
  config,
  flags,
  discovery,
  locks,
  sessions,
  compare,
};
