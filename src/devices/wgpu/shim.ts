/** The C shim (shim.c), and the outcomes that its callbacks write. */
import { cc, type Library } from "bun:ffi";
import { fileURLToPath } from "node:url";
import { DeviceError } from "../../errors.ts";
import { setting } from "../../option_names.ts";
import { onDisk } from "../../native/embedded.ts";

const functions = {
  request_adapter: { args: ["ptr", "ptr", "ptr"], returns: "void" },
  request_device: { args: ["ptr", "ptr", "u64", "u64", "u64", "ptr", "ptr", "ptr"], returns: "void" },
  map_to_read: { args: ["ptr", "ptr", "u64", "ptr"], returns: "void" },
  when_done: { args: ["ptr", "ptr", "ptr"], returns: "void" },
  pop_error_scope: { args: ["ptr", "ptr", "ptr"], returns: "void" },
  free_adapter_info: { args: ["ptr", "u64"], returns: "void" },
  free_features: { args: ["ptr", "u64"], returns: "void" },
} as const;

export type Shim = Library<typeof functions>["symbols"];

let shim: Shim | undefined;

// Without this flag, the compiler needs the C library's development files, which are only on machines where programs
// are built, and looks in only some of the folders where distributions keep them.
const FLAGS = "-std=c11 -nostdlib";

/** Compiles the shim, once. @throws DeviceError when Bun's C compiler can't */
export function loadShim(): Shim {
  return (shim ??= compileShim(onDisk(fileURLToPath(new URL("./shim.c", import.meta.url)))));
}

/** @throws DeviceError with the compiler's message */
export function compileShim(source: string): Shim {
  try {
    return cc({ source, symbols: functions, flags: FLAGS }).symbols;
  } catch (error) {
    // May be several lines, which name the file.
    const said = (error as Error).message.trim().replaceAll(/\s*\n\s*/g, "; ");
    throw new DeviceError(
      `Bun ${Bun.version} can't compile the C code for GPUs on ${process.platform} ${process.arch}: ${said}: ` +
        `use ${setting("device", "cpu")}, or another version of Bun`,
      { cause: error },
    );
  }
}

/** A callback's arguments: `Outcome` of shim.c. Must be kept alive until the callback has come. */
export class Outcome {
  readonly memory = new Uint8Array(4024);
  readonly #words = new Uint32Array(this.memory.buffer);
  readonly #handles = new BigUint64Array(this.memory.buffer);

  /** Whether the callback has come. */
  get done(): boolean {
    return this.#words[0] !== 0;
  }
  /** Its first argument: a status, an error type or a reason. In each, 1 means success or "no error". */
  get status(): number {
    return this.#words[1]!;
  }
  get handle(): number {
    return Number(this.#handles[1]);
  }
  get text(): string {
    return new TextDecoder().decode(this.memory.subarray(20, 20 + this.#words[4]!)).trim();
  }
  reset(): void {
    this.#words[0] = 0;
  }
}
