/**
 * A file of options, for `train --config FILE`: TOML or JSON with the command's options by their names, or a run's
 * config.json, to train as that run was trained.
 */
import { elsewhere } from "../../cli/other_names.ts";
import { AlexNetError, oneLine, UsageError } from "../../errors.ts";
import { readFileUpTo, reason } from "../../io/files.ts";
import { checkOptions } from "../../options.ts";
import { command } from "../../program.ts";
import { isRecord } from "../../rules.ts";
import { optionsOfRun } from "../../runs/repeat.ts";
import { suggest } from "../../suggest.ts";
import { checkRules, nameOf, type Option, type Schema } from "../../schema.ts";

/** Larger files hold no options. */
const MAX_BYTES = 16 * 2 ** 20;

/**
 * The options that a file says, by their keys.
 * @param schema of the options that it may say
 * @throws UsageError when it can't be read, for an unknown option, and for a value that an option can't have
 */
export function readConfigFile(path: string, schema: Schema): Record<string, unknown> {
  const contents = parse(path);
  try {
    const said = optionsOfRun(contents) ?? optionsOf(contents, schema);
    const kinds = Object.entries(schema).map(([key, { kind }]) => [key, `${kind}?`]);
    checkOptions(path, said, Object.fromEntries(kinds));
    checkRules(said, schema);
    return said;
  } catch (error) {
    if (!(error instanceof AlexNetError) || error.message.startsWith(`${path}: `)) throw error;
    throw new UsageError(`${path}: ${error.message}`, { cause: error });
  }
}

function parse(path: string): Record<string, unknown> {
  let contents: unknown;
  try {
    const text = readFileUpTo(path, MAX_BYTES).toString("utf8");
    contents = /\.toml$/i.test(path) ? Bun.TOML.parse(text) : JSON.parse(text);
  } catch (error) {
    throw new UsageError(`--config ${path}: ${reason(error)}`, { cause: error });
  }
  if (isRecord(contents)) return contents;
  throw new UsageError(`--config ${path}: must hold options by their names, as in epochs = 20`);
}

/** Options may be named as on the command line or as in a program: hold-out, hold_out, holdOut. */
function optionsOf(contents: Readonly<Record<string, unknown>>, schema: Schema): Record<string, unknown> {
  const byName = new Map(
    Object.entries(schema).flatMap(([key, of]) => [key, nameOf(key, of)].map((name) => [name, key])),
  );
  return Object.fromEntries(
    Object.entries(contents)
      .filter(([, value]) => value !== null)
      .map(([name, value]) => {
        const key = byName.get(name) ?? byName.get(name.replaceAll("_", "-")) ?? name;
        const option = schema[key];
        if (!option) throw new UsageError(`there is no option "${oneLine(name)}"${hintFor(name, schema)}`);
        return [key, valueOf(value, option, name)];
      }),
  );
}

function hintFor(name: string, schema: Schema): string {
  const names = new Map(Object.entries(schema).map(([key, of]) => [nameOf(key, of), { key }]));
  const known = elsewhere(name, names)?.replace("--", "");
  return known === undefined
    ? suggest(name, [...names.keys()]) || `; ${command("train --help")} lists them`
    : `: ${known}`;
}

/** Text is read as on the command line, and a list where that takes words with commas. */
function valueOf(value: unknown, { kind, parse, place }: Option, name: string): unknown {
  if (place === "words" || place === "any") return value;
  if (kind === "string" && Array.isArray(value)) return value.join(",");
  const isText = typeof value === "string" && kind !== "string" && kind !== "number" && kind !== "boolean";
  return isText || (typeof value === "string" && kind === "string") ? parse(value as string, name) : value;
}
