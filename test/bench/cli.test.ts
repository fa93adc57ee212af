/** `bun run bench` as a person uses it: wrong usage, and a run that writes and compares. */
import { afterAll, describe, expect, setDefaultTimeout, test } from "bun:test";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { readResults } from "../../bench/results_file.ts";
import packageJson from "../../package.json";
import { temporaryFolder } from "../support/folders.ts";
import { endOf } from "../support/processes.ts";

setDefaultTimeout(60_000);

const MAIN = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));
const folder = temporaryFolder();
afterAll(folder.remove);

const bench = (...args: string[]) =>
  endOf(Bun.spawn([process.execPath, MAIN, ...args], { cwd: folder.path, stdout: "pipe", stderr: "pipe" }));

test("package.json's script runs the setup, then the benchmark", () => {
  expect(packageJson.scripts.bench).toBe("bun src/setup.ts && bun bench/main.ts");
});

test("--help names suites and options", async () => {
  const { code, stdout } = await bench("--help");
  expect(code).toBe(0);
  for (const word of ["matmul", "predict", "--device", "--json FILE", "--compare", "--chart"])
    expect(stdout).toContain(word);
});

describe("wrong usage: one line, exit code 2", () => {
  writeFileSync(join(folder.path, "damaged.json"), "{");
  test.each([
    [["convv"], /^error: there is no suite "convv"; did you mean "conv"\?; there are matmul, conv, /],
    [["conv", "pool"], /^error: unexpected argument "pool"/],
    [["--devise", "cpu"], /^error: unknown option --devise; did you mean "--device"\?/],
    [
      ["conv", "--device", "cpu:blass"],
      /^error: there is no device "cpu:blass"; did you mean "cpu:blas"\?; there are auto, cpu, /,
    ],
    [["conv", "--device", "cpu,gpu:nonesuch"], /^error: --device gpu:nonesuch: /],
    [["conv", "--model", "alexnett"], /^error: no model is called "alexnett"; did you mean "alexnet"\?/],
    [["conv", "--batch", "1,x"], /^error: --batch x: must be a number/],
    [["conv", "--batch", "0"], /^error: --batch 0: must be whole numbers above 0/],
    [["conv", "--longest", "0"], /^error: --longest 0: must be above 0/],
    [["conv", "--chart", "a.png"], /^error: --chart a\.png: must end in \.svg/],
    [["conv", "--json"], /^error: --json needs a value/],
    [["conv", "--compare", "none.json"], /^error: can't read the results none\.json: no such file or folder/],
    [["conv", "--compare", "damaged.json"], /^error: damaged\.json is not a results file: /],
  ])("%p", async (args, message) => {
    const { code, stdout, stderr } = await bench(...args);
    expect(stderr).toMatch(message);
    expect(stderr.trimEnd()).not.toContain("\n");
    expect(stdout).toBe("");
    expect(code).toBe(2);
  });
});

test("a run writes its results and a chart, and can be compared with", async () => {
  const args = [
    "pool",
    "--quick",
    "--model",
    "small",
    "--batch",
    "2",
    "--device",
    "cpu",
    "--blas",
    "off",
    "--threads",
    "1",
  ];
  const first = await bench(...args, "--json", "a.json", "--chart", "a.svg");
  expect(first).toMatchObject({ code: 0, stderr: "" });
  expect(first.stdout).toMatch(/^cpu:wasm: 1 thread, WebAssembly without BLAS\n  roof: /);
  expect(first.stdout).toMatch(/max-pool after conv1 forward, batch 2 +max-pool +cpu:wasm .* GB\/s /);
  expect(first.stdout).not.toContain("\x1b");
  expect(readFileSync(join(folder.path, "a-pool.svg"), "utf8")).toStartWith("<svg ");

  const { rows, machine, devices } = readResults(join(folder.path, "a.json"));
  expect(rows.map(({ name }) => name)).toEqual([
    "max-pool after conv1 forward, batch 2",
    "max-pool after conv1 backward, batch 2",
  ]);
  expect(machine.bun).toBe(Bun.version);
  expect(devices.map(({ device }) => device)).toEqual(["cpu:wasm"]);

  const second = await bench(...args, "--compare", "a.json");
  expect(second.code).toBe(0);
  expect(second.stdout).toMatch(/\nagainst a\.json +before +now +ratio +noise\n/);
  expect(second.stdout).toMatch(/\d+ faster, \d+ slower, \d+ without a difference\n$/);
});
