/**
 * `bun bench/table.ts`: writes the README's tables from bench/results: performance from peers-*.json, between the lines
 * `<!-- bench:begin -->` and `<!-- bench:end -->`, and the paper's claims from reproduce.json.
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { AlexNetError } from "../src/errors.ts";
import { replaceFile } from "../src/io/files.ts";
import { markdownTable } from "../src/io/markdown.ts";
import { markdown, type Results as ClaimResults } from "../src/verbs/reproduce/results.ts";
import { shown } from "./report.ts";
import { isOurs, rate, readResults, type Machine, type Results, type Row } from "./results.ts";

const RESULTS = fileURLToPath(new URL("./results/", import.meta.url));
const README = fileURLToPath(new URL("../README.md", import.meta.url));

/** The suites shown, and what their numbers are. */
const SHOWN: Readonly<Record<string, string>> = {
  step: "Images a second, best of a run (and median)",
  matmul: "Matrix products, GFLOP/s, best of a run (and median)",
  photos: "Photos, images a second on all cores, best of a run (and median)",
  predict: "One photo, best of a run (and median)",
};

/** The README with new tables. @throws AlexNetError when it lacks the marker lines */
export function withTables(readme: string, files: ReadonlyMap<string, Results>, claims?: ClaimResults): string {
  return place(place(readme, "bench", tables(files)), "reproduce", claimsTable(claims));
}

function place(readme: string, name: string, text: string): string {
  const [first, last] = [`<!-- ${name}:begin -->`, `<!-- ${name}:end -->`];
  const [begin, end] = [readme.indexOf(first), readme.indexOf(last)];
  if (begin < 0 || end < begin) throw new AlexNetError(`README.md: the lines ${first} and ${last} are missing`);
  return `${readme.slice(0, begin + first.length)}\n\n${text}\n\n${readme.slice(end)}`;
}

/** The results of `reproduce` in bench/results, if any. */
export function claimResults(path = `${RESULTS}/reproduce.json`): ClaimResults | undefined {
  return existsSync(path) ? (JSON.parse(readFileSync(path, "utf8")) as ClaimResults) : undefined;
}

function claimsTable(results: ClaimResults | undefined): string {
  if (!results) return "No results yet.";
  const { data, processor, devices, bun, date } = results;
  const source = `- \`bench/results/reproduce.json\`: ${data}, ${processor}, ${devices.join("; ")}, Bun ${bun}, ${date}`;
  return `${markdown(results)}\n\n${source}`;
}

/** The results of bench/peers in bench/results, by file name. */
export function peerResults(folder = RESULTS): Map<string, Results> {
  if (!existsSync(folder)) return new Map();
  const names = readdirSync(folder)
    .filter((name) => /^peers-.*\.json$/.test(name))
    .sort();
  return new Map(names.map((name) => [name, readResults(`${folder}/${name}`)]));
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
  const sources = [...files].map(([file, { machine }]) => `- \`bench/results/${file}\`: ${about(machine)}`);
  return [...parts, sources.join("\n")].join("\n\n");
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

function about({ processor, os, bun, commit, dirty, date }: Machine): string {
  const version = commit ? `, commit ${commit}${dirty ? " with changes" : ""}` : "";
  return `${processor}, ${os}, Bun ${bun}, ${date.slice(0, 10)}${version}`;
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
    const readme = withTables(readFileSync(README, "utf8"), peerResults(), claimResults());
    await replaceFile(README, (append) => append(new TextEncoder().encode(readme)));
  } catch (error) {
    if (!(error instanceof AlexNetError)) throw error;
    process.stderr.write(`error: ${error.message}\n`);
    process.exitCode = error.exitCode;
  }
}
