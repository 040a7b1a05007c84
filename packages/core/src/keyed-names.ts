import { createHmac } from "node:crypto";
import type { Names } from "./context.js";
import type { DerivedKey, Encryption } from "./encryption-keys.js";
import { checkId, checkUser, plainNames } from "./key.js";

/** How many ids are remembered, so that the newest handle of one leads to its older ones. */
const MOST_IDS = 1000;

/** The names that a store of these options gives. */
export function namesBy({ encryption }: { readonly encryption: Encryption | undefined }): Names {
  return encryption ? keyedNames(encryption) : plainNames;
}

/**
 * Names that only the holder of a key can make: whoever reads the bucket cannot find a user's sessions in it by
 * hashing their name. 43 characters, as the plain ones are. What was stored under an older key, or before there
 * was one, has the name of that time.
 */
function keyedNames({ keys: [newest, ...older] }: Encryption): Names {
  const ids = new Map<string, string>();
  const olderHandlesOf = (id: string) => [
    ...older.map((key) => nameBy(key, "session", id)),
    plainNames.handleOf(id),
  ];
  return {
    handleOf(id) {
      const handle = nameBy(newest, "session", checkId(id));
      ids.delete(handle);
      ids.set(handle, id);
      if (ids.size > MOST_IDS) ids.delete(ids.keys().next().value as string);
      return handle;
    },
    olderHandlesOf,
    aliasesOf(handle) {
      const id = ids.get(handle);
      return id === undefined ? [handle] : [handle, ...olderHandlesOf(id)];
    },
    ownerOf: (user) => nameBy(newest, "user", checkUser(user)),
    ownersOf: (user) => [
      ...[newest, ...older].map((key) => nameBy(key, "user", checkUser(user))),
      plainNames.ownerOf(user),
    ],
  };
}

/** UTF-8 turns every lone surrogate into the same replacement character; such names are taken as UTF-16. */
function nameBy({ names }: DerivedKey, kind: "session" | "user", name: string): string {
  const hmac = createHmac("sha256", names);
  if (name.isWellFormed()) hmac.update(`${kind} 8:`).update(name);
  else hmac.update(`${kind} 16:`).update(name, "utf16le");
  return hmac.digest("base64url");
}
