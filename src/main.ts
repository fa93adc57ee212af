/** The command line: `alexnet VERB …`, or in a checkout `bun run VERB …`, for which package.json has a script each. */
import { readdirSync } from "node:fs";
import { extname, join } from "node:path";
import { completions, SHELLS } from "./cli/completions.ts";
import { end, print, say } from "./cli/terminal.ts";
import { optionsOf, runVerb, type Verb } from "./cli/verb.ts";
import { allowDownloads } from "./native/permission.ts";
import { command, VERSION } from "./program.ts";
import { suggest } from "./suggest.ts";

// A verb is a folder in verbs/ with a command.ts. Only the one requested is loaded: `models` needs no GPU library.
const folder = join(import.meta.dir, "verbs");
const FILE = `command${extname(import.meta.path)}`;
const verbs = readdirSync(folder)
  .filter((name) => !name.includes(".") && readdirSync(join(folder, name)).includes(FILE))
  .sort();

const [name = "", ...args] = process.argv.slice(2);
if (verbs.includes(name)) {
  allowDownloads((line) => say.info(line));
  await runVerb(name, await load(name), args);
} else await end(await answer());

async function load(name: string): Promise<Verb> {
  return ((await import(new URL(`./verbs/${name}/${FILE}`, import.meta.url).href)) as { default: Verb }).default;
}

/** What is asked of the program itself. @returns the exit code */
async function answer(): Promise<number> {
  switch (name) {
    case "--help":
    case "-h":
    case "help":
      print(await help());
      return 0;
    case "--version":
    case "-v":
    case "version":
      print(VERSION);
      return 0;
    case "completions":
      return printCompletions(args);
    case "":
      say.error(`name a command: ${verbs.join(", ")}`);
      return 2;
    default:
      say.error(`no command is called "${name}"${suggest(name, verbs)}; there are ${verbs.join(", ")}`);
      return 2;
  }
}

/** A line for each verb. */
async function help(): Promise<string> {
  const width = Math.max(...verbs.map((verb) => command(verb).length));
  const lines = verbs.map(async (verb) => `${command(verb).padEnd(width)}  ${(await load(verb)).description}`);
  return [...(await Promise.all(lines)), "", "Each has --help."].join("\n");
}

async function printCompletions([shell = ""]: readonly string[]): Promise<number> {
  const known = SHELLS.find((each) => each === shell);
  if (!known) {
    say.error(`completions: name a shell: ${SHELLS.join(", ")}`);
    return 2;
  }
  const described = verbs.map(async (name) => {
    const verb = await load(name);
    return { name, description: verb.description, options: optionsOf(verb) };
  });
  print(completions(known, await Promise.all(described)));
  return 0;
}
