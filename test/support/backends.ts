/**
 * The backends that tests run on: each device that this machine has, or a skip that says why not. The environment
 * variable REQUIRE_BACKENDS ("wgpu,cpu,cpu-blas") names those whose absence is a failure, as in CI.
 */
import { describe } from "bun:test";
import type { Backend } from "../../src/engine/backend.ts";

export interface TestBackend {
  /** "wgpu-half" is wgpu where the GPU has half precision. */
  readonly name: "wgpu" | "wgpu-half" | "cpu" | "cpu-blas";
  /** Why it can't be opened here; undefined when it can. */
  readonly missing: string | undefined;
  /** The same backend on every call, for all test files of a run; it lives until the process ends. */
  open(): Promise<Backend>;
}

const required = (process.env.REQUIRE_BACKENDS ?? "").split(",").map((name) => name.trim());

async function candidate(name: TestBackend["name"], open: () => Promise<Backend>): Promise<TestBackend> {
  let opened: Promise<Backend> | undefined = open();
  let missing: string | undefined;
  try {
    await opened;
  } catch (error) {
    missing = (error as Error).message;
    opened = undefined;
  }
  return {
    name,
    missing,
    open: () => {
      if (!opened) throw new Error(`${name} is required (REQUIRE_BACKENDS), but can't be opened: ${missing}`);
      return opened;
    },
  };
}

/** Bounds checks on, so that a kernel that indexes outside of a buffer gives a wrong result instead of chaos. */
async function openWgpu(): Promise<Backend> {
  const wgpu = await import("../../src/devices/wgpu/backend.ts");
  return wgpu.openWgpu({ adapter: 0, checks: true });
}

async function openCpu(blas: boolean): Promise<Backend> {
  const cpu = await import("../../src/devices/cpu/backend.ts");
  const backend = await cpu.openCpu({ threads: 2, blas });
  if (blas && /without BLAS/.test(backend.description)) {
    await backend.close();
    throw new Error("no BLAS found");
  }
  return backend;
}

const wgpu = await candidate("wgpu", openWgpu);

async function openWgpuHalf(): Promise<Backend> {
  const backend = await wgpu.open();
  if (!backend.hasHalf) throw new Error(`${backend.description} has no half precision`);
  return backend;
}

export const backends: readonly TestBackend[] = [
  wgpu,
  await candidate("wgpu-half", openWgpuHalf),
  await candidate("cpu", () => openCpu(false)),
  await candidate("cpu-blas", () => openCpu(true)),
];

/** Runs `tests` once for each backend, in a block of its name; absent ones are skipped with their reason. */
export function describeBackends(
  title: string,
  tests: (backend: TestBackend) => void,
  names: readonly TestBackend["name"][] = ["wgpu", "cpu", "cpu-blas"],
): void {
  for (const backend of backends.filter(({ name }) => names.includes(name))) {
    const skip = backend.missing !== undefined && !required.includes(backend.name);
    const reason = skip ? ` (skipped: ${backend.missing})` : "";
    describe.skipIf(skip)(`${title} on ${backend.name}${reason}`, () => tests(backend));
  }
}
