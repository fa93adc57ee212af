/**
 * Options, each declared once. A schema maps keys to options; from it come the type of a function's options, their
 * validation, and the command's flags with help and parsing.
 */
import { oneLine, UsageError } from "./errors.ts";
import { kebab, option as namedOption } from "./option_names.ts";
import { checkOptions, type Kind } from "./options.ts";
import { COUNT, type Rule } from "./rules.ts";

/** An option with values of T. */
export interface Option<T = unknown, Needed extends boolean = boolean> {
  readonly kind: Kind;
  readonly needed: Needed;
  /** For the command's help; without it, the option is the library's alone. */
  readonly help?: string;
  /** Stands for the value in the help. */
  readonly hint?: string;
  /** The flag's name, if it is not the key in kebab case: `allowChangedData` is --allow-changed-data. */
  readonly name?: string;
  /** A positional argument: one word, one or more, or any number. */
  readonly place?: "word" | "words" | "any";
  /** The value of a flag given without one. */
  readonly bare?: string;
  /** A flag that takes no value. */
  readonly isSwitch?: boolean;
  /** Checked after the kind. */
  readonly rule?: Rule;
  /** @param flag the option's name in error messages @throws UsageError */
  parse(text: string, flag: string): T;
}

export type Schema = Readonly<Record<string, Option>>;

type ValueOf<O> = O extends Option<infer T> ? T : never;
type NeededOf<S> = { [K in keyof S]: S[K] extends Option<unknown, true> ? K : never }[keyof S];
// Passing `keyof S` as a parameter keeps the doc comment of each option.
type All<S, K extends keyof S> = { readonly [P in K]: ValueOf<S[P]> };
type Some<S, K extends keyof S> = { readonly [P in K]?: ValueOf<S[P]> };

/** The type of a function's options. */
export type OptionsOf<S> = All<S, NeededOf<S>> & Some<S, Exclude<keyof S, NeededOf<S>>>;

type Traits = Partial<Pick<Option, "needed" | "hint" | "name" | "place" | "bare" | "isSwitch" | "rule">>;
type IsNeeded<S extends Traits> = S extends { readonly needed: true } ? true : false;

const optionOf =
  <T>(kind: Kind, parse: Option<T>["parse"], usual: Traits = {}) =>
  <const S extends Traits = {}>(help?: string, traits?: S) =>
    ({ needed: false, ...usual, ...traits, help, kind, parse }) as Option<T, IsNeeded<S>>;

export const text = optionOf<string>("string", (words) => words);
export const texts = optionOf<readonly string[]>("string[]", (words) => words.split(",").map((word) => word.trim()));
export const number = optionOf<number>("number", parseNumber);
export const numbers = optionOf<readonly number[]>("number[]", (words, flag) =>
  words.split(",").map((word) => parseNumber(word, flag)),
);
export const flag = optionOf<boolean>("boolean", (word) => word !== "false", { isSwitch: true });
export const onOff = optionOf<boolean>("boolean", parseOnOff, { hint: "on|off" });

/** A whole number above 0. */
export const count = <const S extends Traits = {}>(help?: string, traits?: S) =>
  number<S>(help, { rule: COUNT, ...traits } as unknown as S);

/** One of these words or numbers. */
export function oneOf<const V extends string | number, const S extends Traits = {}>(
  values: readonly V[],
  help?: string,
  traits?: S,
): Option<V, IsNeeded<S>> {
  const must = `must be ${either(values)}`;
  const rule: Rule = (value) => (values.includes(value as V) ? undefined : ` ${oneLine(String(value))}: ${must}`);
  const parse = (word: string) => values.find((value) => String(value) === word) ?? (word as V);
  return { ...optionOf<V>(typeof values[0] as Kind, parse)<S>(help, traits), rule };
}

/** An option with a parser of its own. */
export const parsed = <T, const S extends Traits = {}>(
  kind: Kind,
  parse: Option<T>["parse"],
  help: string | undefined,
  traits?: S,
) => optionOf<T>(kind, parse)<S>(help, traits);

/** An option's name on the command line. */
export function nameOf(key: string, { name }: Option): string {
  return name ?? kebab(key);
}

/**
 * Checks a function's options.
 * @param where the function's name
 * @param others what it takes beside them
 * @throws UsageError for an option that is unknown, missing, of another type, or out of its range
 */
export function validate(
  where: string,
  options: object,
  schema: Schema,
  others: Readonly<Record<string, string>> = {},
): void {
  const kinds = Object.entries(schema).map(([key, { kind, needed }]) => [key, needed ? kind : `${kind}?`]);
  checkOptions(where, options, { ...Object.fromEntries(kinds), ...others });
  checkRules(options as Readonly<Record<string, unknown>>, schema, `${where}: `);
}

/** @param at begins the message @throws UsageError for a value out of its option's range */
export function checkRules(options: Readonly<Record<string, unknown>>, schema: Schema, at = ""): void {
  for (const [key, option] of Object.entries(schema)) {
    const value = options[key];
    const problem = value === undefined ? undefined : option.rule?.(value);
    if (problem !== undefined) throw new UsageError(`${at}${namedOption(key, nameOf(key, option))}${problem}`);
  }
}

/** @throws UsageError when the text is not a number */
export function parseNumber(word: string, flag: string): number {
  const value = Number(word);
  if (word.trim() !== "" && Number.isFinite(value)) return value;
  throw new UsageError(`${flag} ${word}: must be a number`);
}

function parseOnOff(word: string, flag: string): boolean {
  if (word === "on" || word === "off") return word === "on";
  throw new UsageError(`${flag} ${word}: must be on or off`);
}

/** "a, b or c". */
function either(values: readonly (string | number)[]): string {
  return `${values.slice(0, -1).join(", ")} or ${values.at(-1)}`;
}
