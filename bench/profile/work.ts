/** What each part of a profile does, in a process of its own. */
import { fileURLToPath } from "node:url";
import { AlexNetError } from "../../src/errors.ts";
import { openNetwork } from "../../src/net/network_file.ts";
import { doctor } from "../../src/verbs/doctor/doctor.ts";
import { privatePaths, redactAll } from "../../src/verbs/doctor/private.ts";
import { Bench } from "../bench.ts";
import { openBenchDevice, type BenchDevice } from "../devices.ts";
import { runProcess } from "../peers/run.ts";
import type { Roof, Skipped } from "../results.ts";
import { conv } from "../suites/conv.ts";
import { loader } from "../suites/loader.ts";
import { matmul } from "../suites/matmul.ts";
import { step } from "../suites/step.ts";
import type { Suite } from "../suites/suite.ts";
import type { Data, HostCost } from "./document.ts";
import { profileKernels } from "./kernels.ts";
import { launchMs } from "./launch.ts";
import { torchProducts, torchSteps } from "./torch.ts";
import { formsOf } from "./variants.ts";

export type WorkName =
  "doctor" | "roofs" | "steps" | "torch" | "kernels" | "host" | "conv" | "matmul" | "products" | "loader";

/** What a process is told to do. */
export interface Job {
  readonly work: WorkName;
  /** As `openBenchDevice` takes it: "gpu:0", "cpu:blas". */
  readonly device: string;
  readonly model: string;
  readonly images: number;
  /** Ends by itself after this long. */
  readonly limitMs: number;
  /** Smaller sizes, for a GPU that is emulated. */
  readonly isSmall: boolean;
  /** As measured by the part "roofs"; otherwise each part measures it. */
  readonly roof?: Roof;
}

/** Called whenever there is more. */
export type Save = (data: Data) => void;

/** Does one part of a profile. @throws AlexNetError, and whatever else goes wrong */
export async function doWork(job: Job, save: Save): Promise<void> {
  const end = performance.now() + job.limitMs;
  await WORK[job.work](job, save, () => performance.now() > end);
}

type Work = (job: Job, save: Save, isOver: () => boolean) => Promise<void>;

const WORK: Readonly<Record<WorkName, Work>> = {
  async doctor({ device }, save) {
    const findings: unknown[] = [];
    const paths = privatePaths();
    // It knows the cpu with and without BLAS as one.
    await doctor({
      device: device.replace(/^cpu:.*/, "cpu"),
      onEvent(event) {
        if (["note", "progress", "warning"].includes(event.type)) return;
        findings.push(redactAll(event as object, paths));
        save({ findings });
      },
    });
  },

  async roofs(job, save) {
    await withDevice(job, async ({ backend, isSoftware, threads, ...about }) => {
      save({ device: about, launchMs: await launchMs(backend) });
    });
  },

  steps: (job, save, isOver) => runSuite(step, job, save, isOver),
  conv: (job, save, isOver) => runSuite(conv, job, save, isOver),
  matmul: (job, save, isOver) => runSuite(matmul, job, save, isOver),
  loader: (job, save, isOver) => runSuite(loader, job, save, isOver),

  async kernels(job, save, isOver) {
    const { model, images } = job;
    const network = await openNetwork(model);
    await withDevice(job, async ({ backend }) => {
      await profileKernels(backend, { network, images, most: 20, isOver, save: (kernels) => save({ kernels }) });
    });
  },

  async torch(job, save) {
    const { model, images, limitMs } = job;
    const network = await openNetwork(model);
    await withDevice(job, async ({ backend, ...about }) => {
      save(await torchSteps(backend, { network, images, limitMs, ...placeOf(about) }));
    });
  },

  async products(job, save) {
    const { limitMs, isSmall } = job;
    await withDevice(job, async (about) => {
      save(await torchProducts(isSmall ? [256, 512] : [256, 512, 1024, 2048, 4096], { limitMs, ...placeOf(about) }));
    });
  },

  async host({ device, model, images, limitMs, isSmall }, save) {
    const program = fileURLToPath(new URL("../encoding.ts", import.meta.url));
    const options = ["--device", device, "--batch", String(images), "--steps", isSmall ? "60" : "300"];
    const { output, error } = await runProcess([process.execPath, program, model, ...options], {}, limitMs);
    if (error !== undefined) throw new AlexNetError(error);
    save({ host: JSON.parse(output) as HostCost });
  },
};

/** Where PyTorch is to compute. */
function placeOf({ adapter, isSoftware }: Pick<BenchDevice, "adapter" | "isSoftware">) {
  return { on: isSoftware || adapter === undefined ? "cpu" : "cuda", card: adapter } as const;
}

async function withDevice({ device: name, roof }: Job, use: (device: BenchDevice) => Promise<void>): Promise<void> {
  const device = await openBenchDevice(name, undefined, roof);
  try {
    await use(device);
  } finally {
    await device.backend.close();
  }
}

/** Of a whole step; its process is stopped if it takes too long. A trial with fewer images would be tuned for these. */
const STEPS = { rowMs: 1500, least: 3, most: 100, passMs: Infinity };
/** Of each form of a kernel. On some systems the driver ends what takes longer than two seconds. */
const FORMS = { rowMs: 150, least: 3, most: 30, passMs: 1500 };
const SMALL = { rowMs: 150, least: 2, most: 10, passMs: 10_000 };

async function runSuite(suite: Suite, job: Job, save: Save, isOver: () => boolean): Promise<void> {
  const { model, images, isSmall } = job;
  const network = await openNetwork(model);
  await withDevice(job, async (opened) => {
    const limits = { ...(suite === step && !isSmall ? STEPS : isSmall ? SMALL : FORMS), isOver };
    const saveAll = () => save({ rows: bench.rows, skipped: bench.skipped, wrong: bench.wrong as Skipped[] });
    const bench: Bench = new Bench([opened], limits, { working() {}, row: saveAll, skipped: saveAll });
    await suite.run(bench, { network, batches: [images], quick: isSmall || suite === loader, others: formsOf });
    saveAll();
  });
}
