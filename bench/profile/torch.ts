/** PyTorch beside ours: the same network, weights, images and batch, on the same card in the same minute. */
import { fileURLToPath } from "node:url";
import type { Backend } from "../../src/engine/backend.ts";
import { AlexNetError } from "../../src/errors.ts";
import { temporaryFolder } from "../../src/io/temporary.ts";
import type { Network } from "../../src/net/recipe.ts";
import { missingInPython, PYTHON, THREADS } from "../peers/contestants.ts";
import { fixturesOf } from "../peers/fixtures.ts";
import { parseOutcome, TF32_ERROR, verify, type MatmulJob, type Outcome, type StepJob } from "../peers/job.ts";
import { runProcess } from "../peers/run.ts";
import { times, type Row, type Skipped, type Work } from "../results.ts";
import type { Data } from "./document.ts";

const PEER = fileURLToPath(new URL("../peers/torch_peer.py", import.meta.url));

/** What the peer imports, other than torchvision, which only resnet18 needs. */
const PACKAGES = ["torch", "numpy"];

/** The first Python with PyTorch: PEERS_PYTHON, that of `bench/peers/setup.ts`, python3. Otherwise why there is none. */
export function findTorch(
  candidates: readonly string[] = [PYTHON, "python3", "python"],
  missing: typeof missingInPython = missingInPython,
): { readonly python: string } | { readonly missing: string } {
  const reasons: string[] = [];
  for (const python of new Set(candidates)) {
    const reason = missing(PACKAGES, python);
    if (reason === undefined) return { python };
    reasons.push(reason);
  }
  return { missing: `PyTorch was not found: ${reasons.join("; ")}` };
}

interface Where {
  /** On a software GPU PyTorch computes on the same processor. */
  readonly on: "cuda" | "cpu";
  /** The name of the card. */
  readonly card?: string | undefined;
  readonly limitMs: number;
}

interface StepOptions extends Where {
  readonly network: Network;
  readonly images: number;
}

/** Measuring time of each result: training and forward, with TF32 and without. */
const SECONDS = 1.5;

/** @throws AlexNetError when PyTorch can't be run, or fails */
export async function torchSteps(backend: Backend, { network, images, ...where }: StepOptions): Promise<Data> {
  const { name, recipe } = network;
  const nameOf = (result: string) => `${name} ${result}, batch ${images}`;
  const piece: Piece = { suite: "step", nameOf, workOf: () => ({ unit: "image", amount: images }) };
  const found = findTorch();
  if ("missing" in found) return missing(piece, "training", where, found.missing);
  using folder = temporaryFolder("alexnet-torch-");
  const files = await fixturesOf(backend, folder.path, network);
  // A rate small enough for the loss to fall from the first step.
  const settings = { rate: 0.001, momentum: recipe.momentum, decay: 0.0005 };
  return await run(found.python, piece, where, { task: "step", model: name, batch: images, ...settings, ...files });
}

/** Square products: on a GPU, those of cuBLAS or hipBLAS. @throws AlexNetError as `torchSteps` */
export async function torchProducts(sizes: readonly number[], where: Where): Promise<Data> {
  const piece: Piece = {
    suite: "matmul",
    nameOf: (size) => `${size}×${size}×${size}`,
    workOf: (size) => ({ unit: "flop", amount: 2 * Number(size) ** 3 }),
  };
  const found = findTorch();
  if ("missing" in found) return missing(piece, String(sizes[0]), where, found.missing);
  return await run(found.python, piece, where, { task: "matmul", sizes });
}

type Common = "device" | "threads" | "seconds" | "precisions" | "card";

async function run(
  python: string,
  piece: Piece,
  { on, card, limitMs }: Where,
  job: Omit<StepJob, Common> | Omit<MatmulJob, Common>,
): Promise<Data> {
  const whole = {
    ...{ ...job, threads: THREADS, seconds: SECONDS, device: on === "cuda" ? "gpu" : "cpu" },
    ...(on === "cuda" && { precisions: ["f32", "tf32"], ...(card !== undefined && { card }) }),
  };
  const { output, error } = await runProcess([python, PEER, JSON.stringify(whole)], {}, limitMs);
  if (error !== undefined) throw new AlexNetError(`PyTorch: ${error}`);
  return rowsOf(parseOutcome(output), piece, on);
}

/** A piece of work, by the names of its results. */
export interface Piece {
  readonly suite: "step" | "matmul";
  nameOf(result: string): string;
  workOf(result: string): Work;
}

/** The rows of an outcome. Results that are wrong get none. */
export function rowsOf({ version, results }: Outcome, { suite, nameOf, workOf }: Piece, device: "cuda" | "cpu"): Data {
  const rows: Row[] = [];
  const skipped: Skipped[] = [];
  const wrong: Skipped[] = [];
  for (const result of results) {
    const [of = "", precision] = result.name.split(", ");
    const contestant = precision === undefined ? version : version.replace(/^PyTorch [^,]+/, `$&, ${precision}`);
    const who = { suite, name: nameOf(of), contestant, device };
    if ("cannot" in result) {
      skipped.push({ ...who, reason: result.cannot });
      continue;
    }
    try {
      const check = verify(suite, result, precision === "TF32" ? TF32_ERROR : undefined);
      rows.push({ ...who, work: workOf(of), ms: times(result.samples), clock: "wall", check });
    } catch (error) {
      if (!(error instanceof RangeError)) throw error;
      wrong.push({ ...who, reason: `WRONG: ${error.message}` });
    }
  }
  return { rows, wrong, skipped: [...skipped, ...wrong] };
}

function missing({ suite, nameOf }: Piece, result: string, { on }: Where, reason: string): Data {
  return { skipped: [{ suite, name: nameOf(result), contestant: "PyTorch", device: on, reason }] };
}
