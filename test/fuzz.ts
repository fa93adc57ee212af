/**
 * Fuzzes every parser of untrusted files, each in its own process with many damaged inputs, and prints a line for each:
 *
 *   bun test/fuzz.ts [inputs] [part of a name]        100,000 inputs by default
 *
 * The tests named fuzz decide what is damaged and what is allowed to happen. Here the process is watched from outside:
 * it must end by itself and in time, with bounded memory, and leave no files behind.
 */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "../src/io/temporary.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
/** Images that declare 100 million pixels must not take their memory. */
const MAX_BYTES = 1.5 * 2 ** 30;
/** The tests themselves allow 200 ms per input. */
const MS_AN_INPUT = 200;
const START_MS = 120_000;
const LISTED_INPUTS = 10;

const [count = "100000", filter = ""] = process.argv.slice(2);
const inputs = Number(count);
if (!Number.isInteger(inputs) || inputs < 1) {
  process.stderr.write(`error: "${count}" inputs: must be a whole number above 0\n`);
  process.exit(2);
}

interface Parser {
  readonly file: string;
  readonly name: string;
}

/** Runs tests of a file with a temporary folder of their own. */
async function run(file: string, rounds: number, options: readonly string[] = []) {
  const { path: folder, remove } = temporaryFolder("alexnet-fuzz-");
  const start = performance.now();
  const child = Bun.spawn([process.execPath, "test", file, ...options], {
    cwd: ROOT,
    // Without TEST_DATA: tests of real photos are not parsers.
    env: { ...process.env, FUZZ: String(rounds), TMPDIR: folder, TEMP: folder, TEST_DATA: undefined },
    stdout: "pipe",
    stderr: "pipe",
    timeout: START_MS + MS_AN_INPUT * rounds,
  });
  const [out, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
  await child.exited;
  const seconds = (performance.now() - start) / 1000;
  const left = readdirSync(folder);
  remove();
  return { child, said: out + errors, left, bytes: child.resourceUsage()?.maxRSS ?? 0, seconds };
}

/** The names of a file's fuzz tests for `-t`: all but those with deliberately large inputs. */
async function parsersOf(file: string): Promise<Parser[]> {
  const { said } = await run(file, LISTED_INPUTS);
  // With few inputs a test may fail because the shares of good and bad ones are off. Failed tests are listed twice.
  const names = [...said.matchAll(/^\((?:pass|fail)\) (.*?) \[[\d.]+m?s\]$/gm)].map(([, name]) => name!);
  return [...new Set(names)]
    .map((name) => name.replaceAll(" > ", " "))
    .filter((name) => !name.startsWith("what takes too much"))
    .map((name) => ({ file, name }));
}

const files = [...new Bun.Glob("test/**/*fuzz*.test.ts").scanSync(ROOT)].sort();
const parsers = (await Promise.all(files.map(parsersOf))).flat();
const chosen = parsers.filter(({ name }) => name.includes(filter));
if (chosen.length === 0) {
  process.stderr.write(`error: no parser has "${filter}" in its name; there are ${parsers.length}\n`);
  process.exit(2);
}

/** What is wrong with a finished process; undefined if nothing is. */
function problemOf({ child, said, bytes, left }: Awaited<ReturnType<typeof run>>): string | undefined {
  if (child.signalCode) return `ended by ${child.signalCode}: it hung or crashed`;
  if (child.exitCode !== 0) return "failed";
  if (!/^ *1 pass$/m.test(said)) return "did not run";
  if (bytes > MAX_BYTES) return `took more than ${MAX_BYTES / 2 ** 20} MiB`;
  if (left.length > 0) return `left ${left.join(", ")} behind`;
  return undefined;
}

let failed = 0;
for (const { file, name } of chosen) {
  const ended = await run(file, inputs, ["-t", `^${RegExp.escape(name)}$`]);
  const problem = problemOf(ended);
  const short = name.replace(/: .*/, "").padEnd(30);
  const micros = ((1e6 * ended.seconds) / inputs).toFixed(0);
  const memory = Math.round(ended.bytes / 2 ** 20);
  process.stdout.write(
    `${short} ${inputs.toLocaleString("en-US")} inputs, ${micros} µs each, ${memory} MiB: ${problem ?? "ok"}\n`,
  );
  if (problem === undefined) continue;
  failed++;
  process.stderr.write(`${ended.said.trimEnd()}\n`);
}
process.stdout.write(`${chosen.length - failed} of ${chosen.length} passed\n`);
process.exit(failed === 0 ? 0 : 1);
