/** A step that changes keys of the session; `undefined` removes one. */
export const change = (data) => (request) => {
  for (const [key, value] of Object.entries(data)) {
    if (value === undefined) delete request.session[key];
    else request.session[key] = value;
  }
};

export const signOut = (request) => request.signOut();

export const signInAs = (user) => (request) => request.signInAs(user);

/** A point where requests wait until `count` of them have arrived. */
export function meeting(count) {
  let missing = count;
  let open = () => {};
  const opened = new Promise((resolve) => {
    open = resolve;
  });
  return () => {
    missing--;
    if (missing === 0) open();
    return opened;
  };
}

/** The numbers from 1. */
export const numbers = (count) => Array.from({ length: count }, (_, n) => n + 1);

/** For `resolve`: adds up what both sides counted. */
export const sum = (_key, { base, ours, theirs }) => Number(ours) + Number(theirs) - Number(base);
