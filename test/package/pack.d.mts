export declare const PACKAGES: readonly { readonly name: string; readonly folder: string }[];

/** Writes one tarball for each package. @returns the tarball's path by the package's name */
export declare function packAll(folder: string): Promise<Record<string, string>>;

/** Runs a command. @returns what it printed; a failure is an error with all of it */
export declare function run(
  command: string,
  args: readonly string[],
  options?: { readonly cwd?: string },
): Promise<string>;
