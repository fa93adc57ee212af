/**
 * Checks what the library is given from outside: options that are named, and numbers. What TypeScript would refuse is here
 * refused for those who don't use it, or cast: an option that nobody reads would be a wrong result without a word.
 */
import { oneLine, ShapeError, UsageError } from "./errors.ts";
import { suggest } from "./suggest.ts";

const KINDS = {
  any: { is: (value: unknown) => value !== undefined, what: "given" },
  string: { is: (value: unknown) => typeof value === "string", what: "a string" },
  number: { is: (value: unknown) => typeof value === "number", what: "a number" },
  boolean: { is: (value: unknown) => typeof value === "boolean", what: "true or false" },
  function: { is: (value: unknown) => typeof value === "function", what: "a function" },
  object: { is: isObject, what: "an object" },
  "string[]": { is: listOf("string"), what: "an array of strings" },
  "number[]": { is: listOf("number"), what: "an array of numbers" },
} as const;
type Kind = keyof typeof KINDS;

/** What each option of T must be; a "?" behind it where it may be left out. */
export type OptionKinds<T> = { readonly [K in keyof T]-?: {} extends Pick<T, K> ? `${Kind}?` : Kind };

/**
 * @param where the function that was called
 * @throws UsageError for an option that is unknown, missing, or of another type
 */
export function checkOptions<T extends object>(where: string, options: T, kinds: OptionKinds<T>): void {
  const known = kinds as Readonly<Record<string, `${Kind}?` | Kind>>;
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
    const [value, kind] = [(options as Record<string, unknown>)[name], known[name]!];
    if (value === undefined && kind.endsWith("?")) continue;
    const { is, what } = KINDS[kind.replace("?", "") as Kind];
    if (!is(value)) throw new UsageError(`${where}: ${name} is ${show(value)}, must be ${what}`);
  }
}

/** @throws ShapeError unless each is a whole number from `least` on */
export function requireWhole(where: string, values: Readonly<Record<string, unknown>>, least = 1): void {
  for (const name in values) {
    const value = values[name];
    if (Number.isSafeInteger(value) && (value as number) >= least) continue;
    throw new ShapeError(`${where}: ${name} is ${show(value)}, must be a whole number from ${least} on`);
  }
}

/** @throws ShapeError unless each is a number from `least` to `most`, and finite */
export function requireNumber(
  where: string,
  values: Readonly<Record<string, unknown>>,
  least = -Infinity,
  most = Infinity,
): void {
  for (const name in values) {
    const value = values[name];
    if (Number.isFinite(value) && (value as number) >= least && (value as number) <= most) continue;
    const range = most < Infinity ? ` from ${least} to ${most}` : least > -Infinity ? ` from ${least} on` : "";
    throw new ShapeError(`${where}: ${name} is ${show(value)}, must be a finite number${range}`);
  }
}

/** A value that was given, for people. */
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

function listOf(type: string) {
  return (value: unknown): boolean => Array.isArray(value) && value.every((item) => typeof item === type);
}

/** a, b and c. */
function list(names: readonly string[]): string {
  return names.length < 2 ? names.join() : `${names.slice(0, -1).join(", ")} and ${names.at(-1)}`;
}
