/** A program that this machine does not have; the message says how to get it. */
export declare class MissingProgram extends Error {}
