/**
 * Every parser of files from outside, each in a process of its own with so many damaged inputs, a line each:
 *
 *   bun test/fuzz.ts [inputs] [part of a name]        100,000 inputs if not given
 *
 * What is damaged, and what may come of it, is in the tests named fuzz; here is what a process shows from without: that
 * it ends by itself and in time, with how much memory, and that nothing beside its own folder was touched.
 */
import { readdirSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { temporaryFolder } from "../src/io/temporary.ts";

const ROOT = fileURLToPath(new URL("../", import.meta.url));
/** Images of 100 million pixels may be declared, but never take their memory. */
const MAX_BYTES = 1.5 * 2 ** 30;
/** The tests themselves allow 200 ms an input. */
const MS_AN_INPUT = 200;
const START_MS = 120_000;
const LISTED_INPUTS = 10;

const [count = "100000", filter = ""] = process.argv.slice(2);
const inputs = Number(count);
if (!Number.isInteger(inputs) || inputs < 1) {
  process.stderr.write(`error: "${count}" inputs: must be a whole number from 1 on\n`);
  process.exit(2);
}

interface Parser {
  readonly file: string;
  readonly name: string;
}

/** Runs tests of a file, with a folder of their own for temporary files. */
async function run(file: string, rounds: number, options: readonly string[] = []) {
  const { path: folder, remove } = temporaryFolder("alexnet-fuzz-");
  const start = performance.now();
  const child = Bun.spawn([process.execPath, "test", file, ...options], {
    cwd: ROOT,
    // Without TEST_DATA: real photos are no parser of their own.
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

/** The tests of a file whose inputs are damaged, as `-t` takes them: all but those of what is large on purpose. */
async function parsersOf(file: string): Promise<Parser[]> {
  const { said } = await run(file, LISTED_INPUTS);
  // With few inputs the shares of good and bad ones may be wrong, so that a test fails, and is listed once more at the end;
  // it is there all the same.
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

/** What is wrong with how a process ended; undefined when nothing is. */
function problemOf({ child, said, bytes, left }: Awaited<ReturnType<typeof run>>): string | undefined {
  if (child.signalCode) return `ended by ${child.signalCode}: it hangs, or crashed`;
  if (child.exitCode !== 0) return "failed";
  if (!/^ *1 pass$/m.test(said)) return "was not run";
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
process.stdout.write(`${chosen.length - failed} of ${chosen.length} are well\n`);
process.exit(failed === 0 ? 0 : 1);
