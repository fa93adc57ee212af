/** What a visitor's device was found to be and to do, as text to send to the project. */
import type { Roof, Row, Skipped } from "../../../../bench/results.ts";
import { digits, milliseconds, percent, perSecond } from "../../../../bench/units.ts";
import { cleanText } from "../../../pictures/clean_text.ts";
import { plural } from "../../../words.ts";

export type { Roof };

/** To be changed when a program that reads reports would misunderstand newer ones. */
export const FORMAT = 1;

/** The device, as the browser describes it. */
export interface Facts {
  readonly kind: "webgpu" | "webassembly";
  readonly description: string;
  /** Why there is no GPU, if there isn't. */
  readonly noGpu?: string;
  /** Of `GPUAdapterInfo`: vendor, architecture, device, description; empty strings where the browser hides them. */
  readonly adapter?: Readonly<Record<string, string>>;
  readonly limits?: Readonly<Record<string, number>>;
  readonly features?: readonly string[];
}

export interface KernelResult {
  /** A kernel, or a variant of one. */
  readonly name: string;
  /** What is wrong at which sizes; absent if it is correct at all of them. */
  readonly wrong?: string;
}

export interface Report {
  readonly format: typeof FORMAT;
  readonly version: string;
  /** ISO 8601, UTC. */
  readonly date: string;
  readonly browser: string;
  readonly system: string;
  readonly threads: number;
  readonly facts: Facts;
  readonly kernels: readonly KernelResult[];
  /** Sizes that kernels and variants were tried at, and how long that took. */
  readonly cases: number;
  readonly checkSeconds: number;
  readonly roof?: Roof;
  readonly rows: readonly Row[];
  readonly skipped: readonly Skipped[];
  /** What ended it early. */
  readonly failure?: string;
}

/** The report as a program reads it: times to four digits, without samples. */
export function reportJson(report: Report): string {
  const short = (ms: number) => Number(ms.toPrecision(4));
  const rows = report.rows.map(({ ms, ofRoof, ...row }) => ({
    ...row,
    ms: { best: short(ms.best), median: short(ms.median), count: ms.count },
    ...(ofRoof !== undefined && { ofRoof: Number(ofRoof.toPrecision(3)) }),
  }));
  return JSON.stringify({ ...report, rows }, undefined, 1);
}

/** The limits that decide what the kernels can do. */
const LIMITS = [
  "maxStorageBufferBindingSize",
  "maxBufferSize",
  "maxComputeInvocationsPerWorkgroup",
  "maxComputeWorkgroupStorageSize",
  "maxComputeWorkgroupsPerDimension",
  "maxStorageBuffersPerShaderStage",
];

/** The report as text for people: Markdown, as an issue shows it. */
export function reportMarkdown(report: Report): string {
  const { version, date, browser, system, threads, facts, kernels, rows, skipped, roof, failure } = report;
  const { adapter = {}, limits = {} } = facts;
  const features = computeFeatures(facts);
  const device = facts.kind === "webgpu" ? "WebGPU" : "WebAssembly";
  const lines = [
    `### ${code(nameOf(facts))}, ${device}`,
    "",
    `- alexnet ${version}, ${date}`,
    `- browser: ${code(browser)}`,
    `- system: ${code(system)}, ${plural(threads, "thread")}`,
    ...(facts.noGpu ? [`- no GPU: ${cleanText(facts.noGpu)}`] : []),
    ...Object.entries(adapter).flatMap(([name, value]) => (value ? [`- ${name}: ${code(value)}`] : [])),
    ...(features.length > 0 ? [`- features: ${features.map(code).join(", ")}`] : []),
    ...LIMITS.flatMap((name) => (name in limits ? [`- ${name}: ${limits[name]}`] : [])),
    "",
    `**${kernelWords(report)}**`,
    ...kernels.flatMap(({ name, wrong }) => (wrong ? [`- ${code(name)}: ${cleanText(wrong)}`] : [])),
    "",
    ...(roof ? [roofWords(roof), ""] : []),
    ...(rows.length > 0 ? [table(rows), ""] : []),
    ...skipped.map(({ name, contestant, reason }) => `- ${name}, ${contestant}: ${cleanText(reason)}`),
    ...(failure ? ["", `**Ended early:** ${cleanText(failure)}`] : []),
  ];
  return `${lines
    .join("\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim()}\n`;
}

/** What the browser calls the device; it may hide all of it. */
export function nameOf({ adapter, description }: Facts): string {
  const { description: full, device, vendor, architecture } = adapter ?? {};
  return full || [vendor, device || architecture].filter(Boolean).join(" ") || description;
}

/** Those that kernels could use; a browser has many that are about textures. */
export function computeFeatures({ features = [] }: Facts): string[] {
  return features.filter((name) => /f16|subgroup|timestamp|matrix/.test(name));
}

/** All of them correct, or how many are not. */
export function kernelWords({
  kernels,
  cases,
  checkSeconds,
}: Pick<Report, "kernels" | "cases" | "checkSeconds">): string {
  const wrong = kernels.filter((kernel) => kernel.wrong !== undefined).length;
  const verdict = wrong === 0 ? "correct" : `${wrong} WRONG`;
  const of = `${plural(kernels.length, "kernel")}, variants included, at ${plural(cases, "size")}`;
  return kernels.length === 0 ? "Kernels were not checked" : `${of}: ${verdict}, in ${checkSeconds.toFixed(0)} s`;
}

function roofWords({ flopsPerSecond, bytesPerSecond }: Roof): string {
  return `Roof: ${digits(flopsPerSecond / 1e9)} GFLOP/s in registers, ${digits(bytesPerSecond / 1e9)} GB/s copied`;
}

/** The cells of a measurement: what, by which kernel, best time, rate, share of the roof. */
export function cellsOf({ name, contestant, ms, work, ofRoof }: Row): string[] {
  return [
    name,
    contestant,
    milliseconds(ms.best),
    perSecond(work, ms.best),
    ofRoof === undefined ? "" : percent(ofRoof),
  ];
}

export const HEAD = ["work", "kernel", "best", "rate", "of roof"];

function table(rows: readonly Row[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(HEAD), line(["---", "---", "--:", "--:", "--:"]), ...rows.map((row) => line(cellsOf(row)))].join("\n");
}

/** What the browser says is a stranger's text: it must not become markup. */
function code(words: string): string {
  return `\`${cleanText(words).replaceAll("`", "'")}\``;
}
