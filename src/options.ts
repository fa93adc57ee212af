/**
 * Run-time checks of the options and numbers that callers pass to the library, for those without TypeScript or with a
 * cast: a misspelt option, silently ignored, would give a wrong result.
 */
import { oneLine, ShapeError, UsageError } from "./errors.ts";
import { suggest } from "./suggest.ts";

interface Check {
  is(value: unknown): boolean;
  readonly what: string;
}

const typed = (type: string, what: string): Check => ({ is: (value) => typeof value === type, what });
const listOf = (type: string, what: string): Check => ({
  is: (value) => Array.isArray(value) && value.every((item) => typeof item === type),
  what,
});

const KINDS = {
  any: { is: (value: unknown) => value !== undefined, what: "given" },
  string: typed("string", "a string"),
  number: typed("number", "a number"),
  boolean: typed("boolean", "true or false"),
  function: typed("function", "a function"),
  object: { is: isObject, what: "an object" },
  "string[]": listOf("string", "an array of strings"),
  "number[]": listOf("number", "an array of numbers"),
} satisfies Record<string, Check>;
export type Kind = keyof typeof KINDS;

/** The kinds, and each with a "?" appended: optional. */
const CHECKS: Readonly<Record<string, Check>> = {
  ...KINDS,
  ...Object.fromEntries(
    Object.entries(KINDS).map(([kind, { is, what }]) => [
      `${kind}?`,
      { is: (value: unknown) => value === undefined || is(value), what },
    ]),
  ),
};

/** The kind of each option of T, with a "?" appended if it is optional. */
export type OptionKinds<T> = { readonly [K in keyof T]-?: {} extends Pick<T, K> ? `${Kind}?` : Kind };

/**
 * @param where the function that was called
 * @throws UsageError for an option that is unknown, missing, or of another type
 */
export function checkOptions<T extends object>(where: string, options: T, kinds: OptionKinds<T>): void {
  const known = kinds as Readonly<Record<string, string>>;
  if (!isObject(options)) {
    throw new UsageError(
      `${where}: the options are ${show(options)}, must be an object with ${list(Object.keys(known))}`,
    );
  }
  for (const name in options) {
    if (Object.hasOwn(known, name)) continue;
    const names = Object.keys(known);
    throw new UsageError(
      `${where}: there is no option "${oneLine(name)}"${suggest(name, names) || `; there are ${list(names)}`}`,
    );
  }
  for (const name in known) {
    const value = (options as Record<string, unknown>)[name];
    const { is, what } = CHECKS[known[name]!]!;
    if (!is(value)) throw new UsageError(`${where}: ${name} is ${show(value)}, must be ${what}`);
  }
}

/** @throws ShapeError unless each is a whole number ≥ `least` */
export function requireWhole(where: string, values: Readonly<Record<string, unknown>>, least = 1): void {
  for (const name in values) {
    const value = values[name];
    if (Number.isSafeInteger(value) && (value as number) >= least) continue;
    throw new ShapeError(`${where}: ${name} is ${show(value)}, must be a whole number, at least ${least}`);
  }
}

/** @throws ShapeError unless each is a finite number from `least` to `most` */
export function requireNumber(
  where: string,
  values: Readonly<Record<string, unknown>>,
  least = -Infinity,
  most = Infinity,
): void {
  for (const name in values) {
    const value = values[name];
    if (Number.isFinite(value) && (value as number) >= least && (value as number) <= most) continue;
    const range = most < Infinity ? ` from ${least} to ${most}` : least > -Infinity ? `, at least ${least}` : "";
    throw new ShapeError(`${where}: ${name} is ${show(value)}, must be a finite number${range}`);
  }
}

/** A value, as error messages quote it. */
export function show(value: unknown): string {
  if (typeof value === "string") return JSON.stringify(value.length > 40 ? `${value.slice(0, 39)}…` : value);
  if (typeof value === "bigint") return `${value}n`;
  if (typeof value === "function") return "a function";
  if (typeof value !== "object" || value === null) return String(value);
  const name = (value.constructor as { name?: string } | undefined)?.name ?? "Object";
  return `${/^[AEIOU]/.test(name) && !name.startsWith("Ui") ? "an" : "a"} ${name}`;
}

function isObject(value: unknown): boolean {
  return typeof value === "object" && value !== null && !Array.isArray(value) && !ArrayBuffer.isView(value);
}

/** "a, b and c". */
function list(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}

/** The options without those that are undefined. */
export function given<T extends object>(options: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}
