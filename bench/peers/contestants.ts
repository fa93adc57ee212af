/** The contestants: how each is started, what it can do, and why it can't take part. */
import { existsSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import type { Job } from "./job.ts";

const HERE = fileURLToPath(new URL(".", import.meta.url));
const ROOT = fileURLToPath(new URL("../../", import.meta.url));
/** Where setup.ts installs the peers, and generated files are kept. */
export const FOLDER = join(ROOT, ".cache", "peers");
export const PYTHON =
  process.env.PEERS_PYTHON ??
  join(FOLDER, "venv", ...(process.platform === "win32" ? ["Scripts", "python.exe"] : ["bin", "python"]));

const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8"));
/** This project's name in rows. */
export const OURS = `alexnet.ts ${version}`;

export interface Contestant {
  /** As given to --peers. */
  readonly id: string;
  readonly name: string;
  /** In results: "cpu:wasm" computes in WebAssembly, "cpu:blas" and "cpu" in native code. */
  readonly device: "cpu:wasm" | "cpu:blas" | "cpu" | "gpu" | "cuda";
  readonly ours: boolean;
  readonly does: readonly Job["task"][];
  /** The networks of steps that it has; all by default. */
  readonly networks?: readonly string[];
  /** Maximum number of threads. */
  readonly threads?: number;
  /** Runtime, file and options. The job is inserted after the file. */
  command(): Promise<string[]>;
  /** Added to the environment. */
  environment?(job: Job): Record<string, string>;
  /** Why it can't take part, or undefined. */
  missing(): string | undefined;
}

export function contestants(device: "cpu" | "gpu"): Contestant[] {
  return device === "cpu"
    ? [...ours, photos, ...inJavaScript, ...torch, jax, numpy, pillow]
    : [oursOnGpu, ...torch.map((each) => ({ ...each, device: "cuda" }) as const)];
}

function own(id: string, device: Contestant["device"], ...options: string[]): Contestant {
  return {
    ...{ id, name: "alexnet.ts", device, ours: true, does: ["matmul", "step", "parameters"] },
    command: async () => [process.execPath, join(HERE, "ours.ts"), ...options],
    missing: () => undefined,
  };
}

const ours = [own("blas", "cpu:blas"), own("wasm", "cpu:wasm", "--no-blas")];
const oursOnGpu = own("gpu", "gpu");
const photos: Contestant = {
  ...own("photos", "cpu"),
  does: ["photos"],
  command: async () => [process.execPath, join(HERE, "ours_photos.ts")],
};

/** Only PyTorch's networks and ours have been written with what came after 2012. */
const OLD = ["alexnet", "alexnet-owt", "cifar10-18pct"];

/** Bun runs TypeScript directly; for Node it is bundled first. */
function javaScript(id: string, name: string, file: string, runtime: "bun" | "node", packages: string[]): Contestant {
  return {
    ...{ id, name, device: "cpu:wasm", ours: false, does: ["matmul", "step"], networks: OLD },
    async command() {
      if (runtime === "bun") return [process.execPath, join(HERE, file)];
      const built = await Bun.build({
        ...{ entrypoints: [join(HERE, file)], target: "node", outdir: join(FOLDER, "build") },
        naming: "[name].mjs",
      });
      return ["node", built.outputs[0]!.path];
    },
    missing() {
      if (runtime === "node" && !Bun.which("node")) return "node is not installed";
      return missingInJavaScript(packages);
    },
  };
}

const tfjsPackages = ["@tensorflow/tfjs", "@tensorflow/tfjs-backend-wasm"];
/** Each in its fastest runtime: jax-js has threads only in Bun, TensorFlow.js is faster in Node, onnxruntime varies. */
const inJavaScript = [
  javaScript("jax-js", "jax-js", "jaxjs_peer.ts", "bun", ["@jax-js/jax"]),
  javaScript("ort-bun", "onnxruntime-web in Bun", "onnxruntime_peer.ts", "bun", ["onnxruntime-web"]),
  javaScript("ort-node", "onnxruntime-web in Node", "onnxruntime_peer.ts", "node", ["onnxruntime-web"]),
  { ...javaScript("tfjs", "TensorFlow.js", "tfjs_peer.ts", "node", tfjsPackages), threads: 1 },
];

/** Which of these packages are not installed; undefined if all are. */
export function missingInJavaScript(packages: readonly string[], folder = FOLDER): string | undefined {
  const lacking = packages.filter((each) => !existsSync(join(folder, "node_modules", each, "package.json")));
  return lacking.length > 0 ? `${lacking.join(" and ")} not installed: bun bench/peers/setup.ts` : undefined;
}

function python(
  id: string,
  name: string,
  file: string,
  does: Job["task"][],
  packages: string[],
  ...options: string[]
): Contestant {
  return {
    ...{ id, name, device: "cpu", ours: false, does },
    command: async () => [PYTHON, join(HERE, file), ...options],
    environment: (job) => ("threads" in job ? threadLimits(job.threads) : {}),
    missing: () => missingInPython(packages),
  };
}

/** Most libraries read these only at start-up. */
function threadLimits(threads: number): Record<string, string> {
  const names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "VECLIB_MAXIMUM_THREADS"];
  return Object.fromEntries(names.map((name) => [name, String(threads)]));
}

const TORCH = ["torch", "torchvision", "numpy", "safetensors"];
const compiled = python("torch-compile", "PyTorch, torch.compile", "torch_peer.py", ["step"], TORCH, "torch.compile");
/** In each of its modes. */
const torch = [
  python("torch", "PyTorch", "torch_peer.py", ["matmul", "step", "parameters"], TORCH),
  python("torch-channels-last", "PyTorch, channels_last", "torch_peer.py", ["step"], TORCH, "channels_last"),
  { ...compiled, missing: () => compiled.missing() ?? missingCompiler() },
];
const jax: Contestant = {
  ...python("jax", "JAX", "jax_peer.py", ["step"], ["jax", "numpy", "safetensors"]),
  networks: OLD,
};
const numpy = python("numpy", "NumPy", "numpy_peer.py", ["matmul"], ["numpy"]);

const pillow = python("pillow", "Pillow", "pillow_peer.py", ["photos"], ["PIL", "numpy"]);

/** What torch.compile writes is C++; this is the compiler that it looks for. */
export function missingCompiler(
  environment: Readonly<Record<string, string | undefined>> = process.env,
): string | undefined {
  const usual = { darwin: "clang++", win32: "cl" } as Readonly<Record<string, string>>;
  const compiler = environment.CXX ?? usual[process.platform] ?? "g++";
  return Bun.which(compiler)
    ? undefined
    : `torch.compile needs a C++ compiler, and there is no ${compiler}: install it, or set CXX`;
}

/** Which of these packages this Python lacks; undefined if none. */
export function missingInPython(packages: readonly string[], python = PYTHON): string | undefined {
  if (!Bun.which(python)) return `there is no Python at ${python}: bun bench/peers/setup.ts, or set PEERS_PYTHON`;
  const code = "import importlib.util, sys; print(*[p for p in sys.argv[1:] if importlib.util.find_spec(p) is None])";
  const found = Bun.spawnSync([python, "-c", code, ...packages]);
  if (!found.success) return `${python} does not run: ${found.stderr.toString().trim().split("\n").at(-1)}`;
  const lacking = found.stdout.toString().trim();
  return lacking === "" ? undefined : `${lacking.replaceAll(" ", " and ")} not installed: bun bench/peers/setup.ts`;
}

/** All cores, for every contestant. */
export const THREADS = availableParallelism();
