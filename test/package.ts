/**
 * The package as a stranger has it: packed, installed into an empty project, type-checked and run from there by its
 * name, and the executable in an empty folder. `bun test/package.ts` after `bun run build`; CI runs it.
 */
import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { basename, join, resolve } from "node:path";
import { executable, type Target } from "../packaging/executable.ts";
import { temporaryFolder } from "../src/io/temporary.ts";
import { cacheFolder } from "../src/native/cache.ts";
import { VERSION } from "../src/program.ts";
import { figurePng } from "./support/images.ts";

const ROOT = resolve(import.meta.dir, "..");
const TYPESCRIPT = "7.0.2";
const folder = temporaryFolder("alexnet-package-");
const project = join(folder.path, "project");
/** Neither a home nor a cache yet. */
const home = join(folder.path, "home");
const TINY = ["--model", "relu-or-tanh", "--epochs", "1", "--limit", "64", "--device", "cpu", "--threads", "1"];

interface Options {
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
  /** The exit code that it must have. */
  readonly code?: number;
}

/** @returns what the command printed, standard error included */
function run(command: readonly string[], { cwd = project, env, code = 0 }: Options = {}): string {
  const child = Bun.spawnSync([...command], { cwd, env: env ?? process.env, stdout: "pipe", stderr: "pipe" });
  const said = child.stdout.toString() + child.stderr.toString();
  if (child.exitCode !== code) throw new Error(`${command.join(" ")}: exit code ${child.exitCode}:\n${said}`);
  return said;
}

function check(what: string, holds: boolean, found: unknown = ""): void {
  if (!holds) throw new Error(`${what}: ${String(found)}`);
  console.log(`ok  ${what}`);
}

function bytesIn(path: string): number {
  if (!statSync(path).isDirectory()) return statSync(path).size;
  return readdirSync(path).reduce((sum, name) => sum + bytesIn(join(path, name)), 0);
}

const megabytes = (bytes: number) => `${(bytes / 1e6).toFixed(1)} MB`;

/** What the command line must do, however it was installed. */
function tryCommands(command: readonly string[], cwd: string, env: Readonly<Record<string, string>>): void {
  const call = (args: readonly string[], code = 0) => run([...command, ...args], { cwd, env, code });
  check("--version", call(["--version"]).trim() === VERSION);
  check("--help speaks of `alexnet`", call(["train", "--help"]).includes("alexnet train"));
  check("an unknown command is wrong usage", call(["trian"], 2).includes('did you mean "train"?'));
  check("train", call(["train", ...TINY, "--out", "run"]).includes("Try it on an image:  alexnet predict"));
  const samples = join("run", "samples");
  const device = ["--device", "cpu"];
  check("predict", call(["predict", samples, "--model", "run", ...device]).includes("by relu-or-tanh"));
  const [first] = readdirSync(join(cwd, samples)).sort();
  check(
    "predict by the network in the box",
    call(["predict", join(samples, first!), ...device]).includes("by cifar10"),
  );
  check("evaluate", call(["evaluate", "--model", "run", ...device]).includes("%"));
  check("report", call(["report", "run"]).includes("report.html"));
  check("draw", call(["draw", "filters", "--model", "run", "--out", "filters.png"]).includes("filters.png"));
  check("export", call(["export", "run", "--as", "onnx"]).includes(".onnx"));
  check("export as a page", call(["export", "run", "--as", "page"]).includes(".html"));
  check("devices", /^cpu +\d+ thread/m.test(call(["devices"])));
}

/** A server doesn't end by itself: it is sent an image, and stopped. */
async function tryServer(example: string, env: Readonly<Record<string, string>>): Promise<void> {
  const child = Bun.spawn([process.execPath, example], { cwd: project, env, stdout: "pipe", stderr: "inherit" });
  try {
    const { value } = await child.stdout.getReader().read();
    const url = /http:\S+/.exec(new TextDecoder().decode(value))?.[0] ?? "";
    const answer = await fetch(url, { method: "POST", body: readFileSync(join(project, "photo.jpg")) });
    check(`${example} answers`, ((await answer.json()) as { classes: unknown[] }).classes.length > 0);
  } finally {
    child.kill();
    await child.exited;
  }
}

try {
  for (const path of [project, home]) mkdirSync(path);
  const packed = run(["npm", "pack", "--ignore-scripts", "--silent", "--pack-destination", folder.path], { cwd: ROOT });
  const archive = join(folder.path, basename(packed.trim().split("\n").at(-1)!));
  writeFileSync(join(project, "package.json"), '{ "name": "stranger", "type": "module" }\n');
  run([process.execPath, "add", archive]);
  const installed = bytesIn(join(project, "node_modules"));
  console.log(`archive ${megabytes(statSync(archive).size)}, installed ${megabytes(installed)}`);
  check("installed it weighs at most 60 MB", installed <= 60e6, megabytes(installed));

  // Types: no Bun types, no Node types, and the declarations themselves are checked.
  cpSync(join(ROOT, "test/fixtures/consumer.ts"), join(project, "consumer.ts"));
  for (const modules of [
    ["preserve", "bundler"],
    ["nodenext", "nodenext"],
  ] as const) {
    const options = ["--noEmit", "--strict", "--target", "es2022", "--lib", "es2022,dom"];
    const [module, resolution] = modules;
    const tsc = [process.execPath, "x", "--package", `typescript@${TYPESCRIPT}`, "tsc"];
    run([...tsc, ...options, "--module", module, "--moduleResolution", resolution, "consumer.ts"]);
    check(`types, as ${resolution}`, true);
  }

  // What has been fetched before is used; nothing is fetched.
  const cache = join(home, ".cache", "alexnet");
  const native = cacheFolder("native");
  if (existsSync(native)) cpSync(native, join(cache, "native"), { recursive: true });
  const env = { PATH: process.env.PATH!, HOME: home, ALEXNET_OFFLINE: "1" };
  run([process.execPath, "consumer.ts"], { env });
  check("a program that uses the library", existsSync(join(project, "consumed", "best.safetensors")));
  writeFileSync(join(project, "photo.jpg"), figurePng(0, 0));
  const examples = existsSync(join(ROOT, "examples")) ? readdirSync(join(ROOT, "examples")) : [];
  for (const example of examples.filter((name) => name.endsWith(".ts"))) {
    const text = readFileSync(join(ROOT, "examples", example), "utf8");
    // Another port, since that one may be taken.
    writeFileSync(join(project, example), text.replace("port: 2012", "port: 0"));
    if (text.includes("Bun.serve")) await tryServer(example, env);
    else run([process.execPath, example], { env });
    check(`examples/${example}`, true);
  }
  console.log("the package, by its command:");
  // The examples have left runs behind, the newest of which would be used.
  const elsewhere = join(folder.path, "elsewhere");
  mkdirSync(elsewhere);
  tryCommands([join(project, "node_modules", ".bin", "alexnet")], elsewhere, env);
  check("nothing is written into node_modules", bytesIn(join(project, "node_modules")) === installed);

  const target = `${process.platform === "win32" ? "windows" : process.platform}-${process.arch}` as Target;
  const file = (await executable(target, join(ROOT, "dist"), folder.path)).split(" (")[0]!;
  const empty = join(folder.path, "empty");
  mkdirSync(empty);
  console.log(`the executable, ${megabytes(statSync(file).size)}, with nothing else:`);
  tryCommands([file], empty, { HOME: home, ALEXNET_OFFLINE: "1" });
  // Without a place to write to, Linux loads libraries and fonts from memory.
  if (process.platform === "linux") {
    const nowhere = { HOME: "/proc", XDG_CACHE_HOME: "/proc/nowhere", ALEXNET_OFFLINE: "1" };
    run([file, "report", "run"], { cwd: empty, env: nowhere });
    check("without a cache", true);
  }
} finally {
  folder.remove();
}
