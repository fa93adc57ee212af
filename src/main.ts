/** The command line: `alexnet VERB …`, or in a checkout `bun run VERB …`, for which package.json has a script each. */
import { readdirSync } from "node:fs";
import { extname, join } from "node:path";
import { renderUsage } from "citty";
import { completions, SHELLS } from "./cli/completions.ts";
import { columns, shortened } from "./cli/layout.ts";
import { end, plain, print, say } from "./cli/terminal.ts";
import { optionsOf, runVerb, type Verb } from "./cli/verb.ts";
import { allowDownloads } from "./native/permission.ts";
import { command, DESCRIPTION, VERSION } from "./program.ts";
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

/** A line for each verb, cut to the terminal's width. */
async function help(): Promise<string> {
  const described = verbs.map(async (name) => {
    return [name, { meta: { name, description: (await load(name)).description } }] as const;
  });
  const usage = await renderUsage({
    meta: { name: command("").trimEnd(), version: VERSION, description: DESCRIPTION },
    subCommands: Object.fromEntries(await Promise.all(described)),
  });
  // citty pads every column with spaces, the last one too.
  return plain(usage)
    .split("\n")
    .map((line) => shortened(line.trimEnd(), columns()))
    .join("\n")
    .trimEnd();
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
