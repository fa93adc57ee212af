/**
 * A device's measurements, in one file per device and driver: which WGSL of a kernel is fastest for which shape, and
 * how many workgroups run at once. It is a cache: without it they are measured again.
 */
import { createHash } from "node:crypto";
import { join } from "node:path";
import { wgslOf, type Kernel } from "../../engine/kernel.ts";
import { oneLine } from "../../errors.ts";
import { reason, replaceFile, readPlainFile } from "../../io/files.ts";
import { cacheAdvice } from "../../native/cache.ts";

/** The fastest of a kernel and its variants for a shape, or of several ways to compute it, and their times. */
interface Choice {
  readonly fastest: string;
  readonly ms: Readonly<Record<string, number>>;
}

interface Contents {
  readonly format: typeof FORMAT;
  /** Adapter, driver and version of wgpu-native. */
  readonly device: string;
  parallelWorkgroups?: number;
  /** By kernel; `code` is a hash of the WGSL of the kernel and its variants. */
  readonly kernels: Record<string, { readonly code: string; readonly shapes: Record<string, Choice> }>;
}

const FORMAT = 1;
/** All shapes of all kernels take a few hundred kilobytes. */
const MAX_BYTES = 16 * 2 ** 20;

/** Measurements come in bursts, as in the first step of a training. */
const SAVE_AFTER_MS = 1000;

export class Measurements {
  readonly #path: string;
  readonly #warn: (message: string) => void;
  readonly #contents: Contents;
  readonly #codes = new WeakMap<Kernel, string>();
  #timer: ReturnType<typeof setTimeout> | undefined;
  #saving: Promise<void> = Promise.resolve();

  /**
   * @param device everything the times depend on
   * @param warn called about a file that can't be used or written, which is no reason to stop
   */
  constructor(folder: string, device: string, warn: (message: string) => void) {
    const name = device.replace(/\W+/g, "-").slice(0, 40).toLowerCase();
    this.#path = join(folder, `${name}-${hash(device)}.json`);
    this.#warn = warn;
    this.#contents = this.#load(device) ?? { format: FORMAT, device, kernels: {} };
  }

  /** Ignores 1, which no GPU has: earlier versions measured it while a GPU's clock was rising. */
  get parallelWorkgroups(): number | undefined {
    const { parallelWorkgroups: count = 1 } = this.#contents;
    return count > 1 ? count : undefined;
  }

  set parallelWorkgroups(count: number) {
    this.#contents.parallelWorkgroups = count;
    this.#saveSoon();
  }

  choice(kernel: Kernel, shape: string): Choice | undefined {
    const known = this.#contents.kernels[kernel.name];
    return known?.code === this.#code(kernel) ? known.shapes[shape] : undefined;
  }

  add(kernel: Kernel, shape: string, choice: Choice): void {
    const { kernels } = this.#contents;
    const code = this.#code(kernel);
    // Measurements of other WGSL are obsolete.
    if (kernels[kernel.name]?.code !== code) kernels[kernel.name] = { code, shapes: {} };
    kernels[kernel.name]!.shapes[shape] = choice;
    this.#saveSoon();
  }

  /** Writes what isn't in the file yet. */
  async close(): Promise<void> {
    if (this.#timer) this.#save();
    await this.#saving;
  }

  #saveSoon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#save(), SAVE_AFTER_MS);
    // Doesn't keep the process alive.
    this.#timer.unref();
  }

  #save(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    const text = `${JSON.stringify(this.#contents, undefined, 2)}\n`;
    const write = () => replaceFile(this.#path, (append) => append(new TextEncoder().encode(text)));
    this.#saving = this.#saving.then(write).catch((error: unknown) => {
      const said = error instanceof Error ? error.message : String(error);
      const advice = cacheAdvice(error);
      this.#warn(`the GPU's measurements are not saved: ${advice ? `${said}: ${advice}` : said}`);
    });
  }

  #load(device: string): Contents | undefined {
    let problem: string;
    try {
      const contents: unknown = JSON.parse(readPlainFile(this.#path, MAX_BYTES).toString("utf8"));
      if (isContents(contents) && contents.device === device) return contents;
      problem = isContents(contents)
        ? `it is for ${contents.device}, but this is ${device}`
        : "it is from another version";
    } catch (error) {
      if ((error as { code?: string }).code === "ENOENT") return undefined;
      problem = error instanceof SyntaxError ? "it is damaged" : reason(error);
    }
    this.#warn(oneLine(`ignoring ${this.#path} and measuring again: ${problem}`));
    return undefined;
  }

  #code(kernel: Kernel): string {
    const known = this.#codes.get(kernel);
    if (known) return known;
    const code = hash([kernel, ...(kernel.variants ?? [])].map((form) => `${form.name}\n${wgslOf(form)}`).join("\n"));
    this.#codes.set(kernel, code);
    return code;
  }
}

function hash(text: string): string {
  return createHash("sha256").update(text).digest("hex").slice(0, 16);
}

/** Whether a value read from a file has the form of measurements. */
function isContents(value: unknown): value is Contents {
  if (!isRecord(value) || value.format !== FORMAT || typeof value.device !== "string") return false;
  const { parallelWorkgroups: count = 1, kernels } = value;
  return (
    Number.isSafeInteger(count) &&
    (count as number) > 0 &&
    isRecord(kernels) &&
    Object.values(kernels).every(
      (kernel) =>
        isRecord(kernel) &&
        typeof kernel.code === "string" &&
        isRecord(kernel.shapes) &&
        Object.values(kernel.shapes).every((choice) => isRecord(choice) && typeof choice.fastest === "string"),
    )
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
