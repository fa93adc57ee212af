/**
 * `bun bench/table.ts`: writes the figures in the documents from bench/results, each between the lines
 * `<!-- NAME:begin -->` and `<!-- NAME:end -->` of its page: performance from peers-*.json, what a step consists of from
 * layers-*.json, the paper's claims from reproduce*.json, registers from registers-amd.json; and the model of a step,
 * which follows from the kernels as they are.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { AlexNetError } from "../src/errors.ts";
import { replaceFile } from "../src/io/files.ts";
import { markdownTable } from "../src/io/markdown.ts";
import { findNetwork } from "../src/net/networks.ts";
import { CLAIMS } from "../src/verbs/reproduce/claims.ts";
import { markdown, type Results as ClaimResults } from "../src/verbs/reproduce/results.ts";
import { modelOf } from "./model/tables.ts";
import { registersTable, type Results as RegisterResults } from "./registers/results.ts";
import { shown } from "./report.ts";
import { stepTable } from "./step_table.ts";
import { isOurs, rate, type Machine, type Results, type Row } from "./results.ts";
import { readResults } from "./results_file.ts";

const RESULTS = fileURLToPath(new URL("./results/", import.meta.url));
const ROOT = fileURLToPath(new URL("../", import.meta.url));

/** The suites shown, and what their numbers are. */
const SHOWN: Readonly<Record<string, string>> = {
  step: "Images a second, best of a run (and median)",
  matmul: "Matrix products, GFLOP/s, best of a run (and median)",
  photos: "Photos, images a second on all cores, best of a run (and median)",
  predict: "One photo, best of a run (and median)",
};

/** A page with figures in it. */
export interface Page {
  /** From the project's folder. */
  readonly file: string;
  /** What stands between its marks. */
  readonly name: string;
  readonly text: string;
}

/** The pages with figures, as they should be. */
export function pages(
  files = peerResults(),
  layers = resultsOf("layers"),
  claims = claimResults(),
  registers = registerResults(),
): Page[] {
  return [
    { file: "README.md", name: "speed", text: summary(files) },
    { file: "docs/benchmarks.md", name: "bench", text: tables(files) },
    { file: "docs/benchmarks.md", name: "layers", text: `${stepTable([...layers.values()])}\n\n${sources(layers)}` },
    { file: "docs/benchmarks.md", name: "registers", text: registersSection(registers) },
    { file: "docs/paper.md", name: "reproduce", text: claimsTable(claims) },
  ];
}

/** The page with the model of a step. */
export async function modelPage(): Promise<Page> {
  return { file: "docs/benchmarks.md", name: "model", text: await modelOf(findNetwork("alexnet"), 128, "kernels") };
}

/** The page with new figures between its marks. @throws AlexNetError when it has no marks */
export function withFigures(page: string, { file, name, text }: Page): string {
  const [first, last] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const [begin, end] = [page.indexOf(first), page.indexOf(last)];
  if (begin < 0 || end < begin) throw new AlexNetError(`${file}: the lines ${first} and ${last} are missing`);
  return `${page.slice(0, begin + first.length)}\n\n${text}\n\n${page.slice(end)}`;
}

/** The results of `reproduce` in bench/results, by file name. */
export function claimResults(folder = RESULTS): Map<string, ClaimResults> {
  return filesOf("reproduce", folder, (path) => JSON.parse(readFileSync(path, "utf8")) as ClaimResults);
}

/** The results of bench/registers in bench/results, if any. */
export function registerResults(path = `${RESULTS}/registers-amd.json`): RegisterResults | undefined {
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as RegisterResults) : undefined;
}

function registersSection(results: RegisterResults | undefined): string {
  if (!results) return "No results yet.";
  const { commit, dirty, date } = results.machine;
  const source = `${results.driver}, ${results.translator}, ${date.slice(0, 10)}, commit ${commit}${dirty ? " with changes" : ""}`;
  return `${registersTable(results)}\n\n- \`bench/results/registers-amd.json\`: ${source}`;
}

function claimsTable(files: ReadonlyMap<string, ClaimResults>): string {
  if (files.size === 0) return "No results yet.";
  const sources = [...files].map(([file, { claims, data, processor, devices, gflops, bun, date }]) => {
    const speed = gflops === undefined ? "" : `${gflops.toFixed(0)} GFLOP/s, `;
    const names = claims.map(({ name }) => `\`${name}\``).join(", ");
    return `- \`bench/results/${file}\` (${names}): ${data}, ${processor}, ${devices.join("; ")}, ${speed}Bun ${bun}, ${date}`;
  });
  const order = CLAIMS.map(({ name }) => name);
  const claims = [...files.values()].flatMap(({ claims }) => claims);
  claims.sort((a, b) => order.indexOf(a.name) - order.indexOf(b.name));
  return `${markdown({ claims })}\n\n${sources.join("\n")}`;
}

/** The results of bench/peers in bench/results, by file name. */
export function peerResults(folder = RESULTS): Map<string, Results> {
  return resultsOf("peers", folder);
}

/** The results whose names begin so, by file name. */
function resultsOf(kind: string, folder = RESULTS): Map<string, Results> {
  return filesOf(`${kind}-`, folder, readResults);
}

function filesOf<T>(start: string, folder: string, read: (path: string) => T): Map<string, T> {
  if (!existsSync(folder)) return new Map();
  const names = readdirSync(folder).filter((name) => name.startsWith(start) && name.endsWith(".json"));
  return new Map(names.sort().map((name) => [name, read(`${folder}/${name}`)]));
}

/** A line for each file. */
function sources(files: ReadonlyMap<string, Results>): string {
  return [...files].map(([file, { machine }]) => `- \`bench/results/${file}\`: ${about(machine)}`).join("\n");
}

/** What the summary says of a row. */
const SUMMARY: readonly (readonly [suite: string, name: string, title: string])[] = [
  ["step", "alexnet training, batch 128", "Training `alexnet`, batches of 128"],
  ["step", "alexnet forward, batch 128", "Its forward pass"],
  ["predict", "alexnet predict, one image, cold start", "Classifying one photo, from the command to the answer"],
];

/** A line for each row of `SUMMARY`, ours beside the fastest of PyTorch's modes. */
export function summary(files: ReadonlyMap<string, Results>): string {
  const all = [...files.values()].flatMap(({ rows }) => rows);
  const lines = SUMMARY.flatMap(([suite, name, title]) => {
    const rows = all.filter((row) => row.suite === suite && row.name === name);
    const ours = rows.filter(isOurs).toSorted((a, b) => speedOf(b) - speedOf(a))[0];
    const theirs = rows
      .filter(({ contestant }) => contestant.startsWith("PyTorch"))
      .toSorted((a, b) => speedOf(b) - speedOf(a))[0];
    if (!ours || !theirs) return [];
    const [, mode] = /, (channels_last|torch\.compile)/.exec(theirs.contestant) ?? [];
    const [own, other] = [ours, theirs].map((row) => shown(row, row.ms.best));
    const times = (speedOf(ours) / speedOf(theirs)).toFixed(1);
    return [`- ${title}: ${own}, PyTorch${mode ? ` (${mode})` : ""} ${withoutRate(other!)} (${times}×)`];
  });
  return lines.length > 0 ? lines.join("\n") : "No results yet.";
}

/** One Markdown table per kind of work, over all files, as `bun fmt` formats it. */
export function tables(files: ReadonlyMap<string, Results>): string {
  const parts = Object.entries(SHOWN).flatMap(([suite, title]) => {
    const own = [...files.values()].flatMap(({ rows }) => rows.filter((row) => row.suite === suite && !isRung(row)));
    return [...Map.groupBy(own, (row) => placeOf(row).table)].flatMap(([table, rows]) => [
      `${title}${table}:`,
      pivot(rows),
    ]);
  });
  if (parts.length === 0) return "No results yet.";
  return [...parts, sources(files)].join("\n\n");
}

/** The table within its suite, and the column, in which a row belongs. */
function placeOf({ name }: Row): { table: string; column: string } {
  const [, work, rest] = /^(.+?) (training|forward)(?=, batch)/.exec(name) ?? [];
  if (work) return { table: `; ${rest}${name.slice(work.length + 1 + rest!.length)}`, column: work };
  const [, product, threads] = /^(.+), (\d+ threads?)$/.exec(name) ?? [];
  if (product) return { table: `; ${threads}`, column: product };
  return { table: "", column: name };
}

/** Lower rungs of a ladder are not in production use. */
function isRung({ contestant }: Row): boolean {
  return /_\d_/.test(contestant);
}

function about({ processor, os, bun, commit, dirty, date, openblas }: Machine): string {
  const version = commit ? `, commit ${commit}${dirty ? " with changes" : ""}` : "";
  // Unknown in older files.
  const kernels = openblas === undefined ? "" : `, ${openblas || "OPENBLAS_CORETYPE not set"}`;
  return `${processor}, ${os}, Bun ${bun}, ${date.slice(0, 10)}${version}${kernels}`;
}

/** One row per contestant, ours first; for the others also how many times as fast ours is. */
function pivot(rows: readonly Row[]): string {
  const whoOf = ({ contestant, device }: Row) => `${contestant}, ${device}`;
  const columns = [...new Set(rows.map((row) => placeOf(row).column))];
  const contestants = [...Map.groupBy(rows, whoOf)].toSorted(([, [a]], [, [b]]) => +isOurs(b!) - +isOurs(a!));
  const lines = contestants.map(([who, own]) => {
    const cells = columns.map((column) => {
      const row = own.find((each) => placeOf(each).column === column);
      if (!row) return "";
      const [best, median] = [row.ms.best, row.ms.median].map((ms) => withoutRate(shown(row, ms)));
      const value = `${best} (${median})`;
      const ours = isOurs(row)
        ? undefined
        : rivalOf(
            row,
            rows.filter(({ name }) => name === row.name),
          );
      return ours === undefined ? value : `${value}; ours ${(ours / speedOf(row)).toFixed(2)}×`;
    });
    return [who, ...cells];
  });
  return markdownTable([["", ...columns], ...lines]);
}

/** Our speed on the same kind of device, such as WebAssembly alone; our best where we have no such device. */
function rivalOf(row: Row, group: readonly Row[]): number | undefined {
  const ours = group.filter(isOurs);
  const alike = ours.filter(({ device }) => device === row.device);
  const speeds = (alike.length > 0 ? alike : ours).map(speedOf);
  return speeds.length > 0 ? Math.max(...speeds) : undefined;
}

/** The title already states the unit. */
function withoutRate(text: string): string {
  return text.replace(/ \S+\/s$/, "");
}

function speedOf({ work, ms }: Row): number {
  return rate(work, ms.best);
}

if (import.meta.main) {
  try {
    for (const page of [...pages(), await modelPage()]) {
      const path = `${ROOT}${page.file}`;
      const text = withFigures(readFileSync(path, "utf8"), page);
      await replaceFile(path, (append) => append(new TextEncoder().encode(text)));
    }
  } catch (error) {
    if (!(error instanceof AlexNetError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = error.exitCode;
  }
}
