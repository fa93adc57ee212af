/** What all commands share: their options are checked, their errors are one line, their exit code is 0, 1 or 2. */
import { defineCommand, renderUsage, runCommand, type ArgsDef, type CommandDef, type ParsedArgs } from "citty";
import { AlexNetError, UsageError } from "../errors.ts";
import { given } from "../options.ts";
import { suggest } from "../suggest.ts";
import { end, endWithReader, plain, print, say } from "./terminal.ts";

export { given };

/** Options that every command has, unless it has its own of that name. */
const common = {
  json: { type: "boolean", description: "Print JSON, a line for each thing, instead of text" },
  debug: { type: "boolean", description: "Show where an error comes from" },
} as const satisfies ArgsDef;

type All<A extends ArgsDef> = A & Omit<typeof common, keyof A>;

/** Exit codes: 0 done, 1 failed, 2 wrong usage. */
export interface Verb<A extends ArgsDef> {
  readonly name: string;
  readonly description: string;
  readonly args: A;
  /** Whether any number of words may follow, such as images. */
  readonly many?: boolean;
  /** Whether what it prints is all that comes of it, so that it ends when nobody reads on. */
  prints?(args: ParsedArgs<All<A>>): boolean;
  /** Resolves to the exit code. */
  run(args: ParsedArgs<All<A>>): Promise<number>;
}

/** Makes a command that ends the process itself. */
export function verb<A extends ArgsDef>(of: Verb<A>): CommandDef<All<A>> {
  const { name, description, args, many = false } = of;
  // In the order of the help: those of all commands come last.
  const all: All<A> = { ...args, ...common, ...args };
  const command: CommandDef<All<A>> = defineCommand({
    meta: { name: `bun run ${name}`, description },
    args: all,
    async run({ args: parsed, rawArgs }) {
      const code = await guarded(rawArgs.includes("--debug"), async () => {
        checkOptions(rawArgs, all, many);
        if (of.prints?.(parsed)) endWithReader();
        return of.run(parsed);
      });
      await end(code);
    },
  });
  return command;
}

/** Runs a command with its arguments, or shows its help. */
export async function runVerb(command: CommandDef<ArgsDef>, rawArgs: string[]): Promise<void> {
  if (rawArgs.includes("--help") || rawArgs.includes("-h")) {
    // Columns are filled up with spaces, to the last.
    print(plain(await renderUsage(command)).replace(/ +$/gm, ""));
    return end(0);
  }
  const code = await guarded(rawArgs.includes("--debug"), async () => {
    try {
      await runCommand(command, { rawArgs });
    } catch (error) {
      // What citty finds wrong with the arguments, such as a missing one.
      if (error instanceof Error && error.name === "CLIError") throw new UsageError(error.message, { cause: error });
      throw error;
    }
    return 0;
  });
  return end(code);
}

async function guarded(debug: boolean, work: () => Promise<number>): Promise<number> {
  try {
    return await work();
  } catch (error) {
    if (debug) process.stderr.write(`${Bun.inspect(error)}\n`);
    else if (error instanceof AlexNetError) say.error(error.message);
    else
      say.error(
        `${error instanceof Error ? error.message : String(error)} (a mistake of this program; --debug shows where)`,
      );
    return error instanceof AlexNetError ? error.exitCode : 1;
  }
}

/** @throws UsageError for an option that the command does not have, a value that is missing, or a word too many */
function checkOptions(rawArgs: readonly string[], args: ArgsDef, many: boolean): void {
  const options = Object.entries(args).filter(([, { type }]) => type !== "positional");
  const names = new Map(options.map(([name, { type }]) => [name, type]));
  const places = Object.entries(args).filter(([, { type }]) => type === "positional");
  let words = 0;
  for (let i = 0; i < rawArgs.length; i++) {
    const argument = rawArgs[i]!;
    if (argument === "--") return;
    if (!argument.startsWith("-") || argument === "-") {
      if (++words > places.length && !many) throw new UsageError(`"${argument}" is one word too many; see --help`);
      continue;
    }
    const [name = "", value] = argument.replace(/^--?/, "").split("=", 2);
    const plain = names.has(name) ? name : name.replace(/^no-/, "");
    const type = names.get(plain);
    if (type === undefined || !argument.startsWith("--") || (plain !== name && type !== "boolean")) {
      const known = [...names.keys()];
      throw new UsageError(
        `unknown option ${argument.split("=")[0]}${suggest(name, known).replace('"', '"--')}; --help lists them`,
      );
    }
    if (type === "boolean" || value !== undefined) continue;
    const next = rawArgs[++i];
    if (next === undefined || next.startsWith("--")) throw new UsageError(`--${name} needs a value`);
  }
}

/** A number from an option. @throws UsageError when it is none */
export function number(name: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined;
  const parsed = Number(value);
  if (value.trim() === "" || !Number.isFinite(parsed)) throw new UsageError(`--${name} ${value}: must be a number`);
  return parsed;
}

/** on or off. @throws UsageError otherwise */
export function onOff(name: string, value: string | undefined): boolean | undefined {
  if (value === undefined) return undefined;
  if (value !== "on" && value !== "off") throw new UsageError(`--${name} ${value}: must be on or off`);
  return value === "on";
}

export const deviceArgs = {
  device: {
    type: "string",
    description: "auto, cpu, gpu, or gpu: and a number or name that `bun run devices` lists",
    valueHint: "NAME",
  },
  blas: { type: "string", description: "on or off: whether the cpu uses the machine's BLAS", valueHint: "on|off" },
  threads: { type: "string", description: "How many threads the cpu uses (all cores)", valueHint: "N" },
  tune: { type: "string", description: "on or off: whether a GPU measures its fastest kernels", valueHint: "on|off" },
} as const satisfies ArgsDef;

/** What `deviceArgs` say. */
export function deviceOptions(args: { device?: string; blas?: string; threads?: string; tune?: string }) {
  const threads = number("threads", args.threads);
  if (threads !== undefined && !(Number.isInteger(threads) && threads >= 1 && threads <= 1024)) {
    throw new UsageError(`--threads ${threads}: must be a whole number from 1 to 1024`);
  }
  return given({ device: args.device, blas: onOff("blas", args.blas), threads, tune: onOff("tune", args.tune) });
}
