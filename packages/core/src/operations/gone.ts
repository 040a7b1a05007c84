/** The result of an operation that has found the session ended. */
export const GONE = { outcome: "gone", record: null } as const;
