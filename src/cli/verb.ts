/** What all commands share: parsing and help of their options, one-line errors, and exit codes 0, 1 and 2. */
import { AlexNetError } from "../errors.ts";
import { nameFlags } from "../option_names.ts";
import { command } from "../program.ts";
import type { Context } from "../ranks/context.ts";
import { checkRules, flag, nameOf, type OptionsOf, type Schema } from "../schema.ts";
import { unlessStopped } from "../signals.ts";
import { readArguments } from "./arguments.ts";
import { contextFor } from "./context.ts";
import { helpText } from "./help.ts";
import { stopOnCtrlC } from "./interrupt.ts";
import { withRanks } from "./ranks.ts";
import { beQuiet, end, endWithReader, print, ProgressLine, say } from "./terminal.ts";

/** Flags of every command, unless it has its own by that name. */
const COMMON = {
  json: flag("Print JSON lines instead of text"),
  quiet: flag("Print only results and errors"),
  debug: flag("Print the stack trace of an error"),
};

/** A command's flags, besides the options of its function. */
type FlagsOf<F> = OptionsOf<F & Omit<typeof COMMON, keyof F>>;

export interface Verb<O extends Schema = Schema, F extends Schema = Schema> {
  readonly description: string;
  /** Of the library's function. */
  readonly options?: O;
  /** Of the command alone. */
  readonly flags?: F;
  /** Whether ranks share the work, if an MPI launcher started several. */
  readonly isShared?: boolean;
  /** What Ctrl-C lets finish: "this batch". Without it, Ctrl-C exits at once. */
  readonly finishes?: string;
  /** Printed after such a stop. */
  readonly stopped?: string;
  /** Whether its only result is what it prints, so that it exits when the reader has gone. */
  prints?(options: OptionsOf<O>): boolean;
  /** @param context to pass to the function; it shows progress @returns the exit code, 0 if none */
  run(options: OptionsOf<O>, flags: FlagsOf<F>, context: Required<Context>): Promise<number | void>;
}

/** Infers the types of `run`'s parameters from the options. */
export function verb<const O extends Schema = {}, const F extends Schema = {}>(of: Verb<O, F>): Verb<O, F> {
  return of;
}

/** Runs a command, or prints its help, and exits: 0 done, 1 failed, 2 wrong usage. */
export async function runVerb(name: string, verb: Verb<any, any>, args: readonly string[]): Promise<never> {
  nameFlags();
  const schema: Schema = { ...verb.options, ...verb.flags, ...COMMON, ...verb.flags };
  if (args.includes("--help") || args.includes("-h")) {
    print(helpText(command(name), verb.description, schema));
    return end(0);
  }
  return end(await guarded(args.includes("--debug"), () => runWith(verb, schema, readArguments(args, schema))));
}

async function runWith(
  verb: Verb<any, any>,
  schema: Schema,
  values: Readonly<Record<string, unknown>>,
): Promise<number> {
  const kindOf = ([key]: [string, unknown]) => (Object.hasOwn(verb.options ?? {}, key) ? "options" : "flags");
  const given = Object.groupBy(Object.entries(values), kindOf);
  const [options, flags] = [Object.fromEntries(given.options ?? []), Object.fromEntries(given.flags ?? [])];
  if (flags.quiet) beQuiet();
  if (verb.prints?.(options)) endWithReader();
  const signal = verb.finishes === undefined ? new AbortController().signal : stopOnCtrlC(verb.finishes);
  const run = async (context: Required<Context>) => {
    // All ranks find the same; one reports it.
    await context.ranks.share(() => checkRules(values, schema));
    const work = verb.run(options, flags, context).then((code) => code ?? 0);
    const code = await unlessStopped(signal, work);
    if (code === undefined && verb.stopped !== undefined && context.ranks.rank === 0) say.info(verb.stopped);
    return code ?? 1;
  };
  return verb.isShared ? withRanks((ranks) => run(contextFor(signal, ranks))) : run(contextFor(signal));
}

async function guarded(debug: boolean, work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (thrown) {
    // The first error, if closing something failed after it.
    let error: unknown = thrown;
    while (error instanceof SuppressedError) error = error.suppressed;
    ProgressLine.clear();
    if (debug) process.stderr.write(`${Bun.inspect(error)}\n`);
    else if (error instanceof AlexNetError) say.error(error.message);
    else
      say.error(
        `${error instanceof Error ? error.message : String(error)} (a bug in this program; --debug shows where)`,
      );
    return error instanceof AlexNetError ? error.exitCode : 1;
  }
}

/** A verb's options that stand on a command line, for completions. */
export function optionsOf(verb: Verb<any, any>): { name: string; description: string }[] {
  const schema: Schema = { ...verb.options, ...verb.flags, ...COMMON, ...verb.flags };
  return Object.entries(schema).flatMap(([key, option]) =>
    option.help === undefined || option.place ? [] : [{ name: `--${nameOf(key, option)}`, description: option.help }],
  );
}
