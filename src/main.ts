/** `bun src/main.ts VERB …`; package.json's scripts call it. */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { end, print, say } from "./cli/terminal.ts";
import { runVerb, type Verb } from "./cli/verb.ts";
import { suggest } from "./suggest.ts";

// A verb is a folder in verbs/ with a command.ts. Only the one requested is loaded: `models` needs no GPU library.
// `bun build --compile --root src src/main.ts src/verbs/*/command.ts` compiles them in too.
const folder = join(import.meta.dir, "verbs");
const verbs = readdirSync(folder)
  .filter((name) => readdirSync(join(folder, name)).some((file) => /^command\.[jt]s$/.test(file)))
  .sort();

const [name = "", ...args] = process.argv.slice(2);
if (verbs.includes(name)) {
  const { default: verb } = (await import(`./verbs/${name}/command.ts`)) as { default: Verb };
  await runVerb(name, verb, args);
} else await end(listVerbs(name));

/** For --help, or when no known command is named. @returns the exit code */
function listVerbs(name: string): number {
  if (["--help", "-h", "help"].includes(name)) {
    for (const verb of verbs) print(`bun run ${verb} --help`);
    return 0;
  }
  if (name === "") say.error(`name a command: ${verbs.join(", ")}`);
  else say.error(`no command is called "${name}"${suggest(name, verbs)}; there are ${verbs.join(", ")}`);
  return 2;
}
