/**
 * Options that are said once. A schema is an object of options by key; from it come the type of what a function is given,
 * the checks of it, and the flags of a command: their help, and their values from text.
 */
import { oneLine, UsageError } from "./errors.ts";
import { checkOptions, type Kind } from "./options.ts";
import { COUNT, type Rule } from "./rules.ts";

/** An option with values of T. One that is not needed may be left out. */
export interface Option<T = unknown, Needed extends boolean = boolean> {
  readonly kind: Kind;
  readonly needed: Needed;
  /** For the command's help; an option without it is for programs alone. */
  readonly help?: string;
  /** Stands for the value in the help. */
  readonly hint?: string;
  /** What it is called on the command line, if not by its key: `allowChangedData` is --allow-changed-data. */
  readonly name?: string;
  /** Given by its place instead of by name: one word, at least one, or any number of them. */
  readonly place?: "word" | "words" | "any";
  /** The text that the flag stands for where no value follows. */
  readonly bare?: string;
  /** Whether no value ever follows the flag. */
  readonly isSwitch?: boolean;
  /** Checked after the kind. */
  readonly rule?: Rule;
  /** @param flag what the user knows it as @throws UsageError */
  parse(text: string, flag: string): T;
}

export type Schema = Readonly<Record<string, Option>>;

type ValueOf<O> = O extends Option<infer T> ? T : never;
type NeededOf<S> = { [K in keyof S]: S[K] extends Option<unknown, true> ? K : never }[keyof S];
// `keyof S` by way of a parameter keeps the documentation that stands at each option.
type All<S, K extends keyof S> = { readonly [P in K]: ValueOf<S[P]> };
type Some<S, K extends keyof S> = { readonly [P in K]?: ValueOf<S[P]> };

/** What a function with these options is given. */
export type OptionsOf<S> = All<S, NeededOf<S>> & Some<S, Exclude<keyof S, NeededOf<S>>>;

type Settings = Partial<Pick<Option, "needed" | "hint" | "name" | "place" | "bare" | "isSwitch" | "rule">>;
type IsNeeded<S extends Settings> = S extends { readonly needed: true } ? true : false;

const optionOf =
  <T>(kind: Kind, parse: Option<T>["parse"], usual: Settings = {}) =>
  <const S extends Settings = {}>(help?: string, settings?: S) =>
    ({ needed: false, ...usual, ...settings, help, kind, parse }) as Option<T, IsNeeded<S>>;

export const text = optionOf<string>("string", (words) => words);
export const texts = optionOf<readonly string[]>("string[]", (words) => words.split(",").map((word) => word.trim()));
export const number = optionOf<number>("number", parseNumber);
export const numbers = optionOf<readonly number[]>("number[]", (words, flag) =>
  words.split(",").map((word) => parseNumber(word, flag)),
);
/** True when it is there. */
export const flag = optionOf<boolean>("boolean", (word) => word !== "false", { isSwitch: true });
export const onOff = optionOf<boolean>("boolean", parseOnOff, { hint: "on|off" });

/** A whole number above 0. */
export const count = <const S extends Settings = {}>(help?: string, settings?: S) =>
  number<S>(help, { rule: COUNT, ...settings } as unknown as S);

/** One of these words or numbers. */
export function oneOf<const V extends string | number, const S extends Settings = {}>(
  values: readonly V[],
  help?: string,
  settings?: S,
): Option<V, IsNeeded<S>> {
  const must = `must be ${either(values)}`;
  const rule: Rule = (value) => (values.includes(value as V) ? undefined : ` ${oneLine(String(value))}: ${must}`);
  const parse = (word: string) => values.find((value) => String(value) === word) ?? (word as V);
  return { ...optionOf<V>(typeof values[0] as Kind, parse)<S>(help, settings), rule };
}

/** What is read from text in a way of its own. */
export const parsed = <T, const S extends Settings = {}>(
  kind: Kind,
  parse: Option<T>["parse"],
  help: string,
  settings?: S,
) => optionOf<T>(kind, parse)<S>(help, settings);

/** What an option is called on the command line. */
export function nameOf(key: string, { name }: Option): string {
  return name ?? kebab(key);
}

/** hold-out of holdOut. */
export function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/**
 * Checks what a function was called with.
 * @param where the function
 * @throws UsageError for an option that is unknown, missing, of another type, or out of its range
 */
export function validate(where: string, options: object, schema: Schema): void {
  const kinds = Object.entries(schema).map(([key, { kind, needed }]) => [key, needed ? kind : `${kind}?`]);
  checkOptions(where, options, Object.fromEntries(kinds));
  checkRules(options as Readonly<Record<string, unknown>>, schema);
}

/** @throws UsageError for a value that is out of its option's range */
export function checkRules(options: Readonly<Record<string, unknown>>, schema: Schema): void {
  for (const [key, option] of Object.entries(schema)) {
    const value = options[key];
    const problem = value === undefined ? undefined : option.rule?.(value);
    if (problem !== undefined) throw new UsageError(`--${nameOf(key, option)}${problem}`);
  }
}

/** @throws UsageError when it is none */
export function parseNumber(word: string, flag: string): number {
  const value = Number(word);
  if (word.trim() !== "" && Number.isFinite(value)) return value;
  throw new UsageError(`${flag} ${word}: must be a number`);
}

function parseOnOff(word: string, flag: string): boolean {
  if (word === "on" || word === "off") return word === "on";
  throw new UsageError(`${flag} ${word}: must be on or off`);
}

/** a, b or c. */
function either(values: readonly (string | number)[]): string {
  return `${values.slice(0, -1).join(", ")} or ${values.at(-1)}`;
}
