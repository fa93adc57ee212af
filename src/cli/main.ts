/** `bun src/cli/main.ts VERB …`; package.json's scripts call it. */
import type { ArgsDef, CommandDef } from "citty";
import { suggest } from "../suggest.ts";
import { end, print, say } from "./terminal.ts";
import { runVerb } from "./verb.ts";

/** Each verb is loaded only when it is asked for: `models` needs no GPU library. */
const verbs: Readonly<Record<string, () => Promise<{ default: unknown }>>> = {
  train: () => import("./train.ts"),
  evaluate: () => import("./evaluate.ts"),
  predict: () => import("./predict.ts"),
  features: () => import("./features.ts"),
  similar: () => import("./similar.ts"),
  import: () => import("./import.ts"),
  export: () => import("./export.ts"),
  pack: () => import("./pack.ts"),
  look: () => import("./look.ts"),
  report: () => import("./report.ts"),
  reproduce: () => import("./reproduce.ts"),
  draw: () => import("./draw.ts"),
  models: () => import("./models.ts"),
  devices: () => import("./devices.ts"),
  doctor: () => import("./doctor.ts"),
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
