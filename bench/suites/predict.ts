/** Prediction for one image: a whole process (cold), and with the model already loaded (warm). */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { centreView } from "../../src/data/augmentation.ts";
import { decodeRecord } from "../../src/data/decode.ts";
import { DeviceError } from "../../src/errors.ts";
import { probabilities } from "../../src/inference/forward.ts";
import { Model } from "../../src/net/model.ts";
import { uploadMean } from "../../src/net/passes.ts";
import type { Network } from "../../src/net/recipe.ts";
import { saveCheckpoint } from "../../src/weights/checkpoint.ts";
import type { Opened } from "../bench.ts";
import { WrongResult } from "../check.ts";
import type { BenchDevice } from "../devices.ts";
import { drawWeights, release } from "../drawn.ts";
import { wallClock } from "../measure.ts";
import { drawPhotos } from "../photos.ts";
import type { Suite } from "./suite.ts";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));

export const predict: Suite = {
  name: "predict",
  about: "one photo: cold (a whole process) and warm (a loaded model)",
  async run(bench, { network }) {
    const photos = await drawPhotos(1);
    try {
      const weights = join(photos.folder, "weights.safetensors");
      await saveWeights(weights, network, bench.devices[0]!);
      const task = { network, weights, photo: photos.first, known: {} };
      for (const kind of ["cold", "warm"] as const) {
        await bench.contest({
          ...{ suite: "predict", name: `${network.name}, one photo, ${kind}`, work: { unit: "image", amount: 1 } },
          entrants: bench.devices.map((device) => ({
            ...{ contestant: "alexnet.ts", device, clock: "wall" },
            open: async () => (kind === "cold" ? openCold(task, device) : openWarm(task, device)),
          })),
        });
      }
    } finally {
      photos.remove();
    }
  },
};

interface Task {
  readonly network: Network;
  readonly weights: string;
  readonly photo: string;
  /** The first prediction, which the others must match. */
  readonly known: { top?: readonly number[] };
}

async function saveWeights(path: string, network: Network, { backend }: BenchDevice): Promise<void> {
  const model = new Model(network, backend);
  drawWeights(model);
  const mean = new Float32Array(network.record ** 2 * 3).fill(127.5);
  const classes = Array.from({ length: network.classes }, (_, k) => `class ${k}`);
  await saveCheckpoint(path, { model, classes, mean, state: null });
  model.free();
}

function openCold(task: Task, { device, threads }: BenchDevice): Opened {
  const [kind, half] = device.split(":");
  const blas = half === "blas" ? "on" : "off";
  const choice =
    kind === "cpu" ? ["--device", "cpu", "--blas", blas, "--threads", String(threads)] : ["--device", device];
  const command = [process.execPath, MAIN, "predict", task.photo, "--model", task.weights, "--json", ...choice];
  const once = async () => {
    const child = Bun.spawn(command, { stdin: "ignore", stdout: "pipe", stderr: "pipe" });
    const [out, errors] = await Promise.all([new Response(child.stdout).text(), new Response(child.stderr).text()]);
    if ((await child.exited) !== 0) throw new DeviceError(`predict failed: ${errors.trim()}`);
    const { classes } = JSON.parse(out) as { classes: { probability: number }[] };
    return classes.map(({ probability }) => probability);
  };
  return {
    run: wallClock(once),
    check: async () => agree(task, await once()),
    close: async () => {},
  };
}

function openWarm(task: Task, { backend }: BenchDevice): Opened {
  const { record, crop } = task.network;
  const model = new Model(task.network, backend);
  drawWeights(model);
  const mean = uploadMean(backend, record, new Float32Array(record ** 2 * 3).fill(127.5));
  const once = async () => {
    const pixels = new Uint8Array(record ** 2 * 3);
    await decodeRecord({ kind: "encoded", bytes: await readFile(task.photo) }, record, pixels);
    return probabilities(model, mean, pixels, [centreView(1, record, crop)]);
  };
  return {
    run: wallClock(once),
    check: async () => agree(task, [...(await once())].sort((a, b) => b - a).slice(0, 5)),
    close: async () => release(model, mean),
  };
}

/** @throws WrongResult when the five largest probabilities differ from the first prediction's */
function agree({ known }: Task, top: readonly number[]): string {
  known.top ??= top;
  const isSame = top.length === known.top.length && top.every((p, i) => Math.abs(p - known.top![i]!) <= 1e-3 * p);
  if (!isSame) throw new WrongResult(`the largest probabilities are ${top.join(", ")}, not ${known.top.join(", ")}`);
  return "the five largest probabilities are the same cold, warm and on every device";
}
