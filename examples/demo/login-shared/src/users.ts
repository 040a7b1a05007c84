import {
  type HashCost,
  hashPassword,
  type PasswordHash,
  unmatchableHash,
  usualCost,
  verifyPassword,
} from "./password.js";

export interface User {
  /** What the person types to sign in, and what the session remembers. */
  id: string;
  name: string;
}

export interface Account extends User {
  password: string;
}

export interface UserDirectory {
  find(id: string | undefined): User | undefined;
  /** The user, if the password is theirs. Takes as long for an unknown user as for a wrong password. */
  verify(id: string, password: string): Promise<User | undefined>;
}

export const demoAccounts: readonly Account[] = [
  { id: "ada", name: "Ada Lovelace", password: "lovelace" },
  { id: "grace", name: "Grace Hopper", password: "hopper" },
];

/** A directory in memory, which keeps hashes of the passwords only. */
export function createUserDirectory(accounts: readonly Account[], cost: HashCost = usualCost): UserDirectory {
  const entries = new Map<string, { user: User; password: Promise<PasswordHash> }>(
    accounts.map(({ id, name, password }) => [
      id,
      { user: { id, name }, password: hashPassword(password, cost) },
    ]),
  );
  const nobody = Promise.resolve(unmatchableHash());

  return {
    find: (id) => (id === undefined ? undefined : entries.get(id)?.user),
    async verify(id, password) {
      const entry = entries.get(id.trim().toLowerCase());
      const matches = await verifyPassword(password, await (entry?.password ?? nobody), cost);
      return matches ? entry?.user : undefined;
    },
  };
}
