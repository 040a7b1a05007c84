import { type ParseArgsConfig, parseArgs } from "node:util";
import { UsageError } from "../exit.js";

/** Declares an option, for parsing and for the help. */
export interface OptionSpec {
  readonly type: "string" | "boolean";
  /** One letter that stands for it, after one dash. */
  readonly short?: string;
  /** Name of the value in the help. */
  readonly value?: string;
  readonly help: string;
  /** May be given more than once. */
  readonly multiple?: boolean;
}

export type OptionSpecs = { readonly [name: string]: OptionSpec };

/** A handle may begin with a dash, which would make it an option; a zero byte is in no argument of a process. */
const HANDLE_WITH_DASH = /^-[A-Za-z0-9_-]{42}$/;
const SHIELD = "\0";

/** The options that were given, by name. */
export class Values {
  readonly #given = new Map<string, string[]>();

  add(name: string, value: string): void {
    const values = this.#given.get(name);
    if (values) values.push(value);
    else this.#given.set(name, [value]);
  }

  has(name: string): boolean {
    return this.#given.has(name);
  }

  text(name: string): string | undefined {
    return this.#given.get(name)?.at(-1);
  }

  all(name: string): readonly string[] {
    return this.#given.get(name) ?? [];
  }

  /** @throws UsageError for a value that is not one of those */
  oneOf<T extends string>(name: string, values: readonly T[]): T | undefined {
    const value = this.text(name);
    if (value === undefined || values.includes(value as T)) return value as T | undefined;
    throw new UsageError(`Expected --${name} to be ${values.join(" or ")}`);
  }

  /** @throws UsageError for what is not a whole number in the range */
  wholeNumber(name: string, least = 1, most = Number.MAX_SAFE_INTEGER): number | undefined {
    const value = this.text(name);
    if (value === undefined) return undefined;
    const number = /^\d+$/.test(value) ? Number(value) : Number.NaN;
    if (number >= least && number <= most) return number;
    const range = most === Number.MAX_SAFE_INTEGER ? `, at least ${least}` : ` from ${least} to ${most}`;
    throw new UsageError(`Expected --${name} to be a whole number${range}`);
  }
}

export interface Parsed {
  readonly values: Values;
  readonly positionals: readonly string[];
}

/**
 * Parses arguments. No message quotes a value: one that was misplaced may be a password or a key.
 * @throws UsageError
 */
export function parseArguments(args: readonly string[], specs: OptionSpecs, command = ""): Parsed {
  const values = new Values();
  const positionals: string[] = [];
  for (const token of tokensOf(args, specs)) {
    if (token.kind === "positional") positionals.push(unshield(token.value));
    if (token.kind !== "option") continue;
    const spec = Object.hasOwn(specs, token.name) ? specs[token.name] : undefined;
    if (!spec) {
      const hint = token.name === "user" ? " (the NATS user is --nats-user)" : "";
      throw new UsageError(`Unknown option ${token.rawName}${hint}. See: nats-sessions ${command}--help`);
    }
    if (spec.type === "boolean" && token.value !== undefined) {
      throw new UsageError(`Expected no value after --${token.name}`);
    }
    if (spec.type === "string" && (token.value ?? "") === "") {
      throw new UsageError(`Expected a value after --${token.name}: ${spec.value ?? "VALUE"}`);
    }
    if (!spec.multiple && spec.type === "string" && values.has(token.name)) {
      throw new UsageError(`Expected --${token.name} once`);
    }
    values.add(token.name, unshield(token.value ?? ""));
  }
  return { values, positionals };
}

/**
 * Finds the command's name: the first argument that is neither an option nor the value of one.
 * @param specs options that may stand before the name
 */
export function splitCommand(
  args: readonly string[],
  specs: OptionSpecs,
): { readonly name: string | undefined; readonly rest: string[] } {
  const found = tokensOf(args, specs).find(({ kind }) => kind === "positional");
  if (found?.kind !== "positional") return { name: undefined, rest: [...args] };
  return { name: found.value, rest: args.filter((_, n) => n !== found.index) };
}

function tokensOf(args: readonly string[], specs: OptionSpecs) {
  const options: NonNullable<ParseArgsConfig["options"]> = {};
  for (const [name, { type, short }] of Object.entries(specs)) {
    options[name] = short === undefined ? { type } : { type, short };
  }
  const shielded = args.map((arg) => (HANDLE_WITH_DASH.test(arg) ? SHIELD + arg : arg));
  return parseArgs({ args: shielded, options, strict: false, allowPositionals: true, tokens: true }).tokens;
}

function unshield(value: string): string {
  return value.startsWith(SHIELD) ? value.slice(SHIELD.length) : value;
}
