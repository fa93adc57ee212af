/**
 * Exports a trained network: as ONNX, as safetensors with PyTorch's names, as a checkpoint of its own, or as a page that
 * classifies photos.
 */
import { basename, extname } from "node:path";
import { oneLine, UsageError } from "../../errors.ts";
import { CLASSIFY_OPTIONS } from "../../inference/classification.ts";
import { replaceFile } from "../../io/files.ts";
import { toNpy } from "../../io/npy.ts";
import { networkMetadata } from "../../net/definition.ts";
import { place } from "../../net/model.ts";
import type { Network } from "../../net/recipe.ts";
import { option, setting } from "../../option_names.ts";
import { given } from "../../options.ts";
import { working, type Context } from "../../ranks/context.ts";
import { findWeights, openWeights, storedIn } from "../../runs/weights.ts";
import { flag, oneOf, text, type OptionsOf } from "../../schema.ts";
import { writeCheckpoint, type Checkpoint } from "../../weights/checkpoint.ts";
import { networkGraph } from "../../weights/export/graph.ts";
import { onnxMessage } from "../../weights/export/onnx.ts";
import { EXPORT_FORMAT } from "../../weights/export/safetensors.ts";
import { writeSafetensors } from "../../weights/safetensors.ts";
import { withScales } from "../../weights/scales.ts";
import { writePage } from "./page.ts";

/** The kinds, and the extensions of their files. */
const KINDS = ["onnx", "safetensors", "checkpoint", "page"] as const;
const EXTENSIONS = { onnx: ".onnx", safetensors: ".safetensors", checkpoint: ".safetensors", page: ".html" } as const;

export const EXPORT_OPTIONS = {
  /** A run or a checkpoint file; by default the newest run. */
  model: text("A run or a checkpoint file (the newest run)", { name: "run", place: "word" }),
  /** The format; by default from the extension of `out`. */
  as: oneOf(
    KINDS,
    "onnx; safetensors; checkpoint, for this program; page, one HTML file that classifies photos " +
      "(by the extension of --out)",
    { hint: "KIND" },
  ),
  /** The file to write; the extension may be omitted. */
  out: text("The file to write (MODEL.KIND)", { hint: "FILE" }),
  /** Leaves out the softmax at the end of ONNX. */
  logits: flag("ONNX without the softmax at the end"),
  /** Writes weights in half precision, in half the space; a page's always are. */
  half: flag("Weights in half precision, of safetensors and checkpoints; a page's always are"),
  /** Answers of a page whose most probable class has less than this probability are unsure; by default none is. */
  atLeast: { ...CLASSIFY_OPTIONS.atLeast, help: "A page that says unsure where the first class has less, such as 0.7" },
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
  const { model, as, out, logits = false, half = false, atLeast } = options;
  const kind = as ?? kindOf(out);
  if (logits && kind !== "onnx") {
    const why = { safetensors: "a file of tensors holds", checkpoint: "a checkpoint holds", page: "a page shows" }[
      kind
    ];
    throw new UsageError(
      `${option("logits")} is only for ${setting("as", "onnx")}; ${why} no ${kind === "page" ? "logits" : "operations"}`,
    );
  }
  if (half && kind === "onnx")
    throw new UsageError(
      `${option("half")} is not for ${setting("as", "onnx")}, whose weights are float32: leave it out`,
    );
  if (atLeast !== undefined && kind !== "page") {
    throw new UsageError(`${option("atLeast")} is only for ${setting("as", "page")}, which says so of its answers`);
  }
  const weights = await findWeights(model, note);
  const { checkpoint, network } = openWeights(weights.path);
  using _ = checkpoint;
  const extension = EXTENSIONS[kind];
  const stem = out?.endsWith(extension) ? out.slice(0, -extension.length) : (out ?? network.name);
  const path = `${stem}${extension}`;
  const exported = { network: network.name, weights: weights.path, classes: checkpoint.classes.length };
  if (kind === "checkpoint") {
    await writeOwn(path, checkpoint, network, half);
    return { ...exported, files: [path] };
  }
  if (kind === "page") {
    await writePage(path, { checkpoint, network, weights }, given({ atLeast }));
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

/** What a file of this name is to be. @throws UsageError when its extension doesn't say */
function kindOf(out = ""): (typeof KINDS)[number] {
  const said = extname(out);
  const kind = KINDS.find((name) => EXTENSIONS[name] === said);
  if (kind) return kind;
  throw new UsageError(
    `${option("as")}${said === "" ? " is missing" : ` ${said.slice(1)}`}: must be ${KINDS.slice(0, -1).join(", ")} or ${KINDS.at(-1)}`,
  );
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
  { name, crop, record, resize = "bilinear" }: Network,
  mean: string,
): Record<string, string> {
  const words =
    `Rescale the image (${resize}, antialiased) so that its shorter side is ${record}, cut out the central ` +
    `${record} × ${record} and of that the central ${crop} × ${crop}; red, green, blue from 0 to 255 as float32, ` +
    `N × 3 × ${crop} × ${crop}. ${mean}`;
  return {
    network: name,
    classes: JSON.stringify(classes),
    preprocessing: words,
    preprocessing_json: JSON.stringify({ shorter_side: record, filter: resize, crop, colours: "RGB", range: [0, 255] }),
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
