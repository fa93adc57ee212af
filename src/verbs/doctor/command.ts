import { bold, columns, count, dim, duration, green, label, plural, print, printJson } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import type { Notice } from "../../ranks/context.ts";
import { flag } from "../../schema.ts";
import { doctor, DOCTOR_OPTIONS, LOSS_BOUND, type Finding, type Library, type MachineReport } from "./doctor.ts";
import { gigabytes } from "./machine.ts";
import { privatePaths, redactAll } from "./private.ts";

export default verb({
  description:
    "Check the machine and libraries, try every kernel and a short training on each device, and say how to fix problems",
  options: DOCTOR_OPTIONS,
  flags: { verbose: flag("Print full paths, which may be private") },
  prints: () => true,
  async run(options, { json, verbose }, context) {
    const paths = verbose ? [] : privatePaths();
    const text = new TextReport();
    const onEvent = (event: Finding | Notice) => {
      if (event.type === "note" || event.type === "progress" || event.type === "warning") return context.onEvent(event);
      const shown = redactAll(event, paths);
      if (json) printJson(shown);
      else text.show(shown);
    };
    return (await doctor({ ...options, ...context, onEvent })) ? 0 : 1;
  },
});

const LIST = new Intl.ListFormat("en-GB");
/** Where the second column begins: after the longest name, and with room for a SHA-256. */
const INDENT = 16;
const COLUMNS = Math.min(80, columns());

/** Prints findings as text, under a heading for each kind. Only lines that are not wrapped have colours. */
class TextReport {
  #heading: string | undefined;
  readonly #problems: Extract<Finding, { type: "problem" }>[] = [];

  show(finding: Finding): void {
    // Problems are listed at the end, where they are read.
    if (finding.type === "problem") {
      this.#problems.push(finding);
      return;
    }
    const heading = HEADINGS[finding.type];
    if (heading !== undefined && heading !== this.#heading) print(`\n${bold(heading)}`);
    this.#heading = heading;
    for (const row of this.#rows(finding)) print(row);
  }

  #rows(finding: Exclude<Finding, { type: "problem" }>): string[] {
    switch (finding.type) {
      case "machine":
        return machineRows(finding);
      case "library":
        return libraryRows(finding);
      case "device":
        return deviceRows(finding);
      case "kernels": {
        const { device, kernels, variants, halves, cases, wrong, seconds } = finding;
        const more = [variants > 0 && plural(variants, "variant"), halves > 0 && `${halves} in half precision`];
        const tried = `${LIST.format([`${kernels}`, ...more.filter((each) => each !== false)])} at ${plural(cases, "size")}`;
        const verdict = wrong.length === 0 ? "correct" : `${wrong.length} wrong`;
        return row(device, `kernels ${verdict}: ${tried}, ${duration(seconds)}`);
      }
      case "training": {
        const { device, firstLoss, loss, steps, imagesPerSecond, seconds, result } = finding;
        const verdict = { learned: "learns", slow: "too slow to tell", failed: "does not learn" }[result];
        const rate = count(Number(imagesPerSecond.toPrecision(3)));
        const losses = `loss ${firstLoss.toFixed(2)} to ${loss.toFixed(2)}`;
        return row(device, `${verdict}: ${losses} in ${plural(steps, "step")}, ${rate} images/s, ${duration(seconds)}`);
      }
      case "end":
        return this.#endRows(finding.seconds);
    }
  }

  #endRows(seconds: number): string[] {
    const found = this.#problems;
    if (found.length === 0) return ["", `${bold(green("All is well."))} ${dim(duration(seconds))}`];
    return [
      "",
      bold(plural(found.length, "problem")),
      ...found.flatMap(({ what, remedy }, i) => [
        ...wrapped(`${i + 1}. ${label(what)}`, 3),
        ...wrapped(`   Fix: ${label(remedy)}`, 3),
      ]),
    ];
  }
}

const TRIALS = `Trials (kernels against reference loops; training to a loss below ${LOSS_BOUND.toFixed(2)})`;
const HEADINGS: Readonly<Partial<Record<Finding["type"], string>>> = {
  library: "Libraries",
  device: "Devices",
  kernels: TRIALS,
  training: TRIALS,
};

function machineRows({ version, commit, bun, system, ...machine }: MachineReport): string[] {
  const { processor, cores, memoryBytes, freeMemoryBytes, disks, environment } = machine;
  const free = disks.map(
    ({ use, freeBytes }) => `${gigabytes(freeBytes)} free for ${use === "runs" ? "runs" : "the cache"}`,
  );
  return [
    bold(`alexnet ${version}${commit && ` (${commit})`}, Bun ${bun}, ${system}`),
    ...row("processor", `${cores} × ${processor}`),
    ...row("memory", `${gigabytes(memoryBytes)}, ${gigabytes(freeMemoryBytes)} free`),
    ...row("disk", free.join(", ")),
    ...Object.entries(environment).flatMap(([name, value]) =>
      row("environment", value === `$${name}` ? `${name} is set` : `${name}=${label(value)}`),
    ),
  ];
}

const ORIGINS: Readonly<Record<Exclude<Library["origin"], "none">, string>> = {
  pinned: "as published",
  system: "from the system",
  variable: "from an environment variable",
  unusable: "unusable",
};

function libraryRows({ name, version, use, origin, path, sha256 }: Library): string[] {
  const whose = origin === "none" ? `none (for ${use})` : ORIGINS[origin];
  const rows = row(name, [version, whose].filter(Boolean).join(", "));
  return sha256 === undefined ? rows : [...rows, ...row("", label(path!)), ...row("", sha256)];
}

function deviceRows({ device, description, adapter }: Extract<Finding, { type: "device" }>): string[] {
  const rows = row(device, label(description));
  if (!adapter) return rows;
  const { limits, features } = adapter;
  return [
    ...rows,
    ...row(
      "",
      `binds ${mebibytes(limits.bindingBytes)}, buffers of ${mebibytes(limits.bufferBytes)}, workgroups of ` +
        `${count(limits.workgroupThreads)} threads and ${limits.workgroupBytes / 1024} KiB, ` +
        `${count(limits.workgroupsPerDimension)} in a row, ${limits.storageBuffers} buffers a kernel`,
    ),
    ...row("", features.length > 0 ? `has ${features.join(", ")}` : "has no timestamps, f16 or subgroups"),
  ];
}

function row(name: string, text: string): string[] {
  return wrapped(`${name.padEnd(INDENT - 1)} ${text}`, INDENT);
}

/** Wraps text at spaces to at most 80 columns, or as many as the terminal has, with a hanging indent. */
function wrapped(text: string, indent: number): string[] {
  const lines: string[] = [];
  let rest = text;
  while (Bun.stringWidth(rest) > COLUMNS) {
    const space = rest.lastIndexOf(" ", COLUMNS);
    const at = space > indent ? space : rest.indexOf(" ", COLUMNS);
    if (at < 0) break;
    lines.push(rest.slice(0, at).trimEnd());
    rest = " ".repeat(indent) + rest.slice(at + 1);
  }
  return [...lines, rest];
}

function mebibytes(bytes: number): string {
  return `${count(Math.round(bytes / 2 ** 20))} MiB`;
}
