/** Pictures of a trained network: filters, training curves, and of an image activations, occlusion and Grad-CAM. */
import { basename, resolve } from "node:path";
import { centreView } from "../../data/augmentation.ts";
import { DEVICE_OPTIONS, openDeviceOf } from "../../devices/open.ts";
import { DataError, UsageError } from "../../errors.ts";
import { mostProbable } from "../../inference/most_probable.ts";
import { classActivationMaps } from "../../inference/cam.ts";
import { activations, probabilities } from "../../inference/forward.ts";
import { openTrained, type Trained } from "../../inference/loaded_model.ts";
import { occlude } from "../../inference/occlusion.ts";
import { replaceFile } from "../../io/files.ts";
import { firstConvolution } from "../../net/model.ts";
import { findTap } from "../../net/tap.ts";
import { option } from "../../option_names.ts";
import { drawCam } from "../../pictures/cam.ts";
import { chartsOf, chartSvg, LIGHT } from "../../pictures/charts.ts";
import { filterGrid } from "../../pictures/filters.ts";
import { drawHeat } from "../../pictures/heat.ts";
import { drawMaps, type LayerMaps } from "../../pictures/maps.ts";
import { image } from "../../pictures/raster.ts";
import { document, renderPng, shorten, text as label, type TextStyle } from "../../pictures/svg.ts";
import { command } from "../../program.ts";
import { working, type Context, type Notice, type Working } from "../../ranks/context.ts";
import { curvesOf, readHistory } from "../../runs/history.ts";
import { findRun } from "../../runs/runs.ts";
import { nameOf } from "../../runs/weights.ts";
import { text, type OptionsOf } from "../../schema.ts";
import { suggest } from "../../suggest.ts";
import { percent } from "../../words.ts";
import { decodeImages, findImages } from "../shared/images.ts";
import { seen } from "../shared/seen.ts";

/** What can be drawn of a network, of an image that it sees, and of an image and a class. */
const DRAWINGS = ["filters", "curves", "activations", "cam", "occlusion"] as const;
export type Drawing = (typeof DRAWINGS)[number];
const OF_IMAGE: readonly Drawing[] = ["activations", "cam", "occlusion"];
const OF_CLASS: readonly Drawing[] = ["cam", "occlusion"];

export const DRAW_OPTIONS = {
  /** "filters", "curves", "activations", "cam" (class activation maps) or "occlusion". */
  what: text(DRAWINGS.join(", "), { place: "word", needed: true }),
  /** An image file, or "-" for standard input. */
  image: text("For activations, cam and occlusion: an image file, or - for standard input", { place: "word" }),
  /** A run or a checkpoint file; by default the newest run. Curves need a run. */
  model: text("A run or a .safetensors file (the newest run)", { hint: "RUN" }),
  /** The class that `cam` or `occlusion` is of; by default the most probable one. */
  class: text("The class that cam or occlusion is of (the most probable one)", { hint: "NAME" }),
  /** The file to write; by default the drawing's name and .png. */
  out: text("The PNG file to write (filters.png, …)", { hint: "FILE" }),
  ...DEVICE_OPTIONS,
};

export interface DrawOptions extends OptionsOf<typeof DRAW_OPTIONS> {}

export interface Drawn {
  readonly what: Drawing;
  /** The picture's absolute path. */
  readonly file: string;
}

/** Draws a picture as PNG. @throws UsageError, DataError, CheckpointError or DeviceError */
export async function draw(call: DrawOptions & Context): Promise<Drawn> {
  const { options, ...work } = working("draw", call, DRAW_OPTIONS);
  const what = DRAWINGS.find((name) => name === options.what);
  if (!what) {
    throw new UsageError(
      `"${options.what}" can't be drawn${suggest(options.what, DRAWINGS)}; there are ${DRAWINGS.join(", ")}`,
    );
  }
  const ofImage = OF_IMAGE.includes(what);
  if (ofImage && options.image === undefined) {
    throw new UsageError(`draw ${what} needs an image: ${command(`draw ${what} photo.jpg`)}`);
  }
  if (!ofImage && options.image !== undefined) {
    throw new UsageError(`draw ${what} takes no image: leave out ${options.image}; name a run with ${option("model")}`);
  }
  if (options.class !== undefined && !OF_CLASS.includes(what)) {
    throw new UsageError(`${option("class")} is only for cam and occlusion`);
  }
  const svg = what === "curves" ? await curves(options) : await ofModel(what, options, work);
  const png = await renderPng(svg);
  const file = resolve(options.out ?? `${what}.png`);
  await replaceFile(file, (append) => append(png));
  return { what, file };
}

const MARGIN = 32;
const TITLE: TextStyle = { size: 20, bold: true, colour: "#1c1c1c" };
const HEADING: TextStyle = { size: 15, bold: true, colour: "#1c1c1c" };
const FACT: TextStyle = { size: 13, colour: "#6e6e6e" };
const CHART = { width: 560, height: 280 };

async function curves({ model: name = "latest" }: DrawOptions): Promise<string> {
  const run = findRun(name);
  const history = readHistory(run);
  if (history.epochs.length + history.steps.length === 0) {
    throw new UsageError(`${run.path} has no curves yet: the log begins after 50 steps or the first epoch`);
  }
  const width = 2 * MARGIN + 2 * CHART.width + 24;
  const parts = [label(MARGIN, 46, shorten(run.name, width - 2 * MARGIN, TITLE, "both"), TITLE)];
  let height = 0;
  for (const [i, chart] of chartsOf(curvesOf(history, run.readStart()), LIGHT).entries()) {
    const [x, y] = [MARGIN + (i % 2) * (CHART.width + 24), 86 + Math.floor(i / 2) * (CHART.height + 56)];
    const svg = await chartSvg(chart, CHART.width, CHART.height, `chart${i}`);
    parts.push(label(x, y, chart.name, HEADING), svg.replace("<svg ", `<svg x="${x}" y="${y + 14}" `));
    height = y + 14 + CHART.height + MARGIN;
  }
  return document(width, height, parts);
}

async function ofModel(what: Exclude<Drawing, "curves">, options: DrawOptions, work: Working<Notice>): Promise<string> {
  using trained = await openTrained(options.model, work.note);
  return what === "filters" ? await filters(trained, options) : await ofImage(what, trained, options, work);
}

/** Approximate width of a drawn filter, in pixels. */
const FILTER = 66;

async function filters(trained: Trained, options: DrawOptions): Promise<string> {
  await using backend = await openDeviceOf({ ...options, device: options.device ?? "cpu" });
  const { model } = trained.load(backend);
  const first = firstConvolution(model.layers);
  const [weights] = model.parameters;
  if (!first || !weights) {
    throw new UsageError(`${trained.network.name} has no filters to draw: its first layer is not a convolution`);
  }
  const [count, , height, width] = weights.shape as [number, number, number, number];
  const factor = Math.max(1, Math.round(FILTER / width));
  const grid = filterGrid(await weights.read(), weights.shape, { factor });
  const room = Math.max(grid.width, 480);
  const fact = `${count} filters of ${height} × ${width}; grey is 0, each is scaled by its largest weight`;
  const of = `${first.layer.name} of ${nameOf(trained.weights)}`;
  return document(room + 2 * MARGIN, 92 + grid.height + MARGIN, [
    label(MARGIN, 46, shorten(of, room, TITLE, "both"), TITLE),
    label(MARGIN, 70, shorten(fact, room, FACT, "both"), FACT),
    await image(MARGIN, 92, grid),
  ]);
}

/** Maximum number of classes whose activation maps are drawn. */
const CLASSES = 3;

async function ofImage(
  what: Exclude<Drawing, "curves" | "filters">,
  trained: Trained,
  options: DrawOptions,
  { signal, note, progress }: Working<Notice>,
): Promise<string> {
  const { record, crop } = trained.network;
  const { images: named } = await findImages([options.image!]);
  if (named.length > 1) throw new UsageError(`${options.image} has ${named.length} images: name one of them`);
  const [decoded] = await Array.fromAsync(decodeImages(named, trained.network));
  const { pixels, errors } = decoded!;
  if (errors[0] !== undefined) throw new DataError(`${options.image}: ${errors[0]}`);
  await using backend = await openDeviceOf(options);
  const member = trained.load(backend);
  const { model, mean, temperature } = member;
  const views = centreView(1, record, crop);
  const [shown] = await seen(mean, pixels, views, crop);
  const p = await probabilities(model, mean, pixels, [views], temperature);
  const by = `by ${nameOf(trained.weights)}`;
  if (what === "activations") {
    const layers: LayerMaps[] = [];
    for (const { layer, output } of model.layers) {
      if (layer.kind !== "conv" && layer.kind !== "local" && !("branches" in layer)) continue;
      signal.throwIfAborted();
      note(`computing ${layer.name}`);
      const values = await activations(model, mean, { pixels, views }, findTap(model.layers, layer.name).count);
      const [maps, height, width] = output;
      layers.push({ name: layer.name, maps, height, width, values });
    }
    if (layers.length === 0) throw new UsageError(`${trained.network.name} has no convolutions to draw`);
    const signs = layers.some(({ values }) => values.some((value) => value < 0)) ? ", blue where negative" : "";
    const fact = `${answer(trained, p)}; ${by}; brighter where stronger${signs}`;
    return await drawMaps({
      title: `What ${trained.network.name} makes of ${basename(options.image!)}`,
      fact,
      image: shown!,
      layers,
    });
  }
  const label = labelOf(trained, options.class, p);
  if (what === "cam") {
    const labels = [label, ...mostProbable(p, CLASSES).filter((other) => other !== label)].slice(0, CLASSES);
    const copies = { pixels: Buffer.concat(labels.map(() => pixels)), views: centreView(labels.length, record, crop) };
    const { layer, side, maps } = await classActivationMaps(member, copies, labels);
    const mapOf = (k: number, i: number) => ({ name: trained.classes[k]!, probability: p[k]!, map: maps[i]! });
    const [first, ...others] = labels.map(mapOf);
    return await drawCam({
      title: `What speaks for ${first!.name}`,
      fact: `red where ${layer} speaks for the class, each map scaled by its largest number (Grad-CAM); ${by}`,
      image: shown!,
      side,
      maps: [first!, ...others],
    });
  }
  const occlusion = await occlude(member, pixels, label, p[label]!, (done, total) => {
    signal.throwIfAborted();
    progress("covering", done, total, "places");
  });
  return await drawHeat({
    title: `What speaks for ${trained.classes[label]!}`,
    fact: `${percent(p[label]!)} with nothing covered; ${answer(trained, p)}; ${by}`,
    image: shown!,
    ...occlusion,
  });
}

function answer({ classes }: Trained, p: Float64Array): string {
  const [best] = mostProbable(p, 1);
  return `taken for ${classes[best!]!}, ${percent(p[best!]!)}`;
}

function labelOf({ classes, weights }: Trained, name: string | undefined, p: Float64Array): number {
  if (name === undefined) return mostProbable(p, 1)[0]!;
  const label = classes.indexOf(name.normalize());
  if (label >= 0) return label;
  throw new UsageError(`${option("class")} ${name}: ${weights.path} has no such class${suggest(name, classes)}`);
}
