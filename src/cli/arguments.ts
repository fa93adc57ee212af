/** Parses a command line by its schema of options. */
import { UsageError } from "../errors.ts";
import { nameOf, type Option, type Schema } from "../schema.ts";
import { suggest } from "../suggest.ts";
import { elsewhere } from "./other_names.ts";

/**
 * The values on a command line, by option key.
 * @throws UsageError for an unknown option, a missing or invalid value, or a missing or extra argument
 */
export function readArguments(args: readonly string[], schema: Schema): Record<string, unknown> {
  const options = Object.entries(schema).filter(([, { help }]) => help !== undefined);
  const flags = new Map(options.filter(([, { place }]) => !place).map(([key, of]) => [nameOf(key, of), { key, of }]));
  const places = options.filter(([, { place }]) => place);
  const values: Record<string, unknown> = {};
  const words: string[] = [];
  for (let i = 0; i < args.length; i++) {
    const argument = args[i]!;
    if (argument === "--") {
      words.push(...args.slice(i + 1));
      break;
    }
    if (!argument.startsWith("-") || argument === "-") {
      words.push(argument);
      continue;
    }
    const [, name = "", attached] = /^--?([^=]*)(?:=(.*))?$/s.exec(argument)!;
    const found = flags.get(name);
    const denied = found ? undefined : flags.get(name.replace(/^no-/, ""));
    if (!argument.startsWith("--") || !(found ?? denied?.of.isSwitch)) throw unknown(argument, name, flags);
    if (denied) values[denied.key] = false;
    else values[found!.key] = found!.of.parse(valueOf(found!.of), `--${name}`);

    /** The text after "=", the next argument, or the flag's value when it stands alone. */
    function valueOf({ isSwitch, bare }: Option): string {
      if (attached !== undefined) return attached;
      if (isSwitch) return "true";
      const next = args[i + 1];
      if (next !== undefined && !next.startsWith("--")) return args[++i]!;
      if (bare === undefined) throw new UsageError(`--${name} needs a value`);
      return bare;
    }
  }
  for (const [key, of] of places) {
    if (of.place === "word") {
      const word = words.shift();
      if (word !== undefined) values[key] = of.parse(word, nameOf(key, of));
    } else values[key] = words.splice(0);
    const isMissing = of.place === "words" ? (values[key] as string[]).length === 0 : !(key in values);
    if (isMissing && of.needed) throw new UsageError(`${nameOf(key, of).toUpperCase()} is missing; see --help`);
  }
  if (words.length > 0) throw new UsageError(`unexpected argument "${words[0]}"; see --help`);
  return values;
}

function unknown(argument: string, name: string, flags: ReadonlyMap<string, { readonly key: string }>): UsageError {
  const known = elsewhere(name, flags);
  const hint = known ?? `${suggest(name, [...flags.keys()]).replace('"', '"--')}; --help lists them`;
  return new UsageError(`unknown option ${argument.split("=")[0]}${known === undefined ? "" : ": "}${hint}`);
}
