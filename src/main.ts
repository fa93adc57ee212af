/** `bun src/main.ts VERB …`; package.json's scripts call it. */
import type { ArgsDef, CommandDef } from "citty";
import { end, print, say } from "./cli/terminal.ts";
import { runVerb } from "./cli/verb.ts";
import { suggest } from "./suggest.ts";

/** Each verb is loaded only when it is asked for: `models` needs no GPU library. */
const verbs: Readonly<Record<string, () => Promise<{ default: unknown }>>> = {
  train: () => import("./verbs/train/command.ts"),
  evaluate: () => import("./verbs/evaluate/command.ts"),
  predict: () => import("./verbs/predict/command.ts"),
  features: () => import("./verbs/features/command.ts"),
  similar: () => import("./verbs/similar/command.ts"),
  import: () => import("./verbs/import/command.ts"),
  export: () => import("./verbs/export/command.ts"),
  pack: () => import("./verbs/pack/command.ts"),
  look: () => import("./verbs/look/command.ts"),
  report: () => import("./verbs/report/command.ts"),
  reproduce: () => import("./verbs/reproduce/command.ts"),
  draw: () => import("./verbs/draw/command.ts"),
  models: () => import("./verbs/models/command.ts"),
  devices: () => import("./verbs/devices/command.ts"),
  doctor: () => import("./verbs/doctor/command.ts"),
};

const [name = "", ...rawArgs] = process.argv.slice(2);
const load = Object.hasOwn(verbs, name) ? verbs[name] : undefined;
if (load) {
  const { default: command } = await load();
  // What these mean when they stand alone: the newest run, and a port that is free.
  for (const [option, value] of Object.entries({ "--resume": "latest", "--dashboard": "0" })) {
    const bare = rawArgs.findIndex((arg, i) => arg === option && (rawArgs[i + 1] ?? "--").startsWith("--"));
    if (bare >= 0) rawArgs[bare] = `${option}=${value}`;
  }
  await runVerb(command as CommandDef<ArgsDef>, rawArgs);
} else await end(listVerbs(name));

/** What there is, where none of it was named. @returns the exit code */
function listVerbs(name: string): number {
  const names = Object.keys(verbs);
  if (["--help", "-h", "help"].includes(name)) {
    for (const verb of names) print(`bun run ${verb} --help`);
    return 0;
  }
  if (name === "") say.error(`a command is missing: ${names.join(", ")}`);
  else say.error(`no command is called "${name}"${suggest(name, names)}; there are ${names.join(", ")}`);
  return 2;
}
