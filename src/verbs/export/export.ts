/** Exports a trained network: as ONNX, as safetensors with PyTorch's names, or as a checkpoint of its own. */
import { basename, extname } from "node:path";
import { oneLine, UsageError } from "../../errors.ts";
import { replaceFile } from "../../io/files.ts";
import { toNpy } from "../../io/npy.ts";
import { networkMetadata } from "../../net/definition.ts";
import { place } from "../../net/model.ts";
import type { Network } from "../../net/recipe.ts";
import { option, setting } from "../../option_names.ts";
import { working, type Context } from "../../ranks/context.ts";
import { findWeights, openWeights, storedIn } from "../../runs/weights.ts";
import { flag, oneOf, text, type OptionsOf } from "../../schema.ts";
import { writeCheckpoint, type Checkpoint } from "../../weights/checkpoint.ts";
import { networkGraph } from "../../weights/export/graph.ts";
import { onnxMessage } from "../../weights/export/onnx.ts";
import { EXPORT_FORMAT } from "../../weights/export/safetensors.ts";
import { writeSafetensors } from "../../weights/safetensors.ts";
import { withScales } from "../../weights/scales.ts";

const KINDS = ["onnx", "safetensors", "checkpoint"] as const;

export const EXPORT_OPTIONS = {
  /** A run or a checkpoint file; by default the newest run. */
  model: text("A run or a checkpoint file (the newest run)", { name: "run", place: "word" }),
  /** The format; by default from the extension of `out`. */
  as: oneOf(KINDS, "onnx, safetensors, or checkpoint, for this program (by the extension of --out)", { hint: "KIND" }),
  /** The file to write; the extension may be omitted. */
  out: text("The file to write (MODEL.KIND)", { hint: "FILE" }),
  /** Leaves out the softmax at the end of ONNX. */
  logits: flag("ONNX without the softmax at the end"),
  /** Writes weights in half precision, in half the space. */
  half: flag("Weights in half precision, of safetensors and checkpoints"),
};

export interface ExportOptions extends OptionsOf<typeof EXPORT_OPTIONS> {}

export interface Exported {
  readonly network: string;
  readonly weights: string;
  readonly classes: number;
  /** The network's file, and those written beside it. */
  readonly files: readonly string[];
}

/** @throws UsageError, CheckpointError, or AlexNetError when a file can't be written */
export async function exportModel(call: ExportOptions & Context = {}): Promise<Exported> {
  const { options, note } = working("exportModel", call, EXPORT_OPTIONS);
  const { model, as, out, logits = false, half = false } = options;
  const said = as ?? extname(out ?? "").slice(1);
  const kind = KINDS.find((name) => name === said);
  if (!kind)
    throw new UsageError(
      `${option("as")}${said === "" ? " is missing" : ` ${said}`}: must be ${KINDS.slice(0, -1).join(", ")} or ${KINDS.at(-1)}`,
    );
  if (logits && kind !== "onnx")
    throw new UsageError(
      `${option("logits")} is only for ${setting("as", "onnx")}; a ${kind === "safetensors" ? "file of tensors" : kind} holds no operations`,
    );
  if (half && kind === "onnx")
    throw new UsageError(
      `${option("half")} is not for ${setting("as", "onnx")}, whose weights are float32: leave it out`,
    );
  const weights = await findWeights(model, note);
  const { checkpoint, network } = openWeights(weights.path);
  using _ = checkpoint;
  const extension = kind === "onnx" ? ".onnx" : ".safetensors";
  const stem = out?.endsWith(extension) ? out.slice(0, -extension.length) : (out ?? network.name);
  const path = `${stem}${extension}`;
  const exported = { network: network.name, weights: weights.path, classes: checkpoint.classes.length };
  if (kind === "checkpoint") {
    await writeOwn(path, checkpoint, network, half);
    return { ...exported, files: [path] };
  }
  const names = `${stem}.classes.txt`;
  const files = [path, names];
  if (kind === "onnx") await writeOnnx(path, checkpoint, network, logits);
  else files.push(...(await writePlain(path, stem, checkpoint, network, half)));
  const lines = checkpoint.classes.map((name) => `${oneLine(name)}\n`).join("");
  await replaceFile(names, (append) => append(new TextEncoder().encode(lines)));
  return { ...exported, files };
}

/** A checkpoint without the optimizer's state. */
async function writeOwn(path: string, checkpoint: Checkpoint, network: Network, half: boolean): Promise<void> {
  const { classes, mean, state, calibration } = checkpoint;
  const calibrated = calibration && { calibration, prototypes: checkpoint.prototypes() };
  const parameters = storedIn(checkpoint, network);
  await writeCheckpoint(path, { network, classes, mean, state, half, parameters, calibrated });
}

async function writeOnnx(path: string, checkpoint: Checkpoint, network: Network, logits: boolean): Promise<void> {
  const { crop, record } = network;
  const graph = networkGraph({
    layers: place(network, checkpoint.classes.length),
    stored: checkpoint.numbers,
    mean: centre(checkpoint.mean, record, crop),
    logits,
    temperature: checkpoint.calibration?.temperature ?? 1,
  });
  const pieces = onnxMessage({
    ...graph,
    producer: "alexnet.ts",
    metadata: metadataOf(checkpoint, network, "The mean image is subtracted in the graph."),
  });
  await replaceFile(path, (append) => pieces.forEach((piece) => append(piece)));
}

/** @returns the files written beside it */
async function writePlain(
  path: string,
  stem: string,
  checkpoint: Checkpoint,
  network: Network,
  half: boolean,
): Promise<string[]> {
  const { mean } = checkpoint;
  const colours = [mean[0]!, mean[1]!, mean[2]!];
  const isImage = mean.some((value, i) => value !== colours[i % 3]);
  const beside = `${stem}.mean.npy`;
  const what = isImage ? `the mean image in ${basename(beside)}, cropped likewise` : colours.join(", ");
  const subtract = `Subtract ${what}.`;
  await writeSafetensors(
    path,
    withScales(storedIn(checkpoint, network), place(network, checkpoint.classes.length)).map((tensor) => ({
      ...tensor,
      half,
    })),
    {
      ...{ format: EXPORT_FORMAT, mean: isImage ? "image" : colours.join() },
      ...metadataOf(checkpoint, network, subtract),
      ...networkMetadata(network),
    },
  );
  if (!isImage) return [];
  const { record } = network;
  await replaceFile(beside, (append) => append(toNpy(mean, [record, record, 3])));
  return [beside];
}

/** What users of the file need to know. @param mean a sentence about the mean image */
function metadataOf(
  { classes, calibration }: Checkpoint,
  { name, crop, record }: Network,
  mean: string,
): Record<string, string> {
  const words =
    `Rescale the image (bilinear, antialiased) so that its shorter side is ${record}, cut out the central ` +
    `${record} × ${record} and of that the central ${crop} × ${crop}; red, green, blue from 0 to 255 as float32, ` +
    `N × 3 × ${crop} × ${crop}. ${mean}`;
  return {
    network: name,
    classes: JSON.stringify(classes),
    preprocessing: words,
    preprocessing_json: JSON.stringify({ ...{ shorter_side: record, crop }, colours: "RGB", range: [0, 255] }),
    // What logits are divided by before the softmax.
    ...(calibration && { temperature: String(calibration.temperature) }),
  };
}

/** The centre of a mean image, S × S × 3, as 3 × crop × crop. */
function centre(mean: Float32Array, side: number, crop: number): Float32Array {
  const from = Math.floor((side - crop) / 2);
  const result = new Float32Array(3 * crop * crop);
  for (let c = 0, at = 0; c < 3; c++) {
    for (let y = 0; y < crop; y++) {
      for (let x = 0; x < crop; x++) result[at++] = mean[3 * ((from + y) * side + from + x) + c]!;
    }
  }
  return result;
}
