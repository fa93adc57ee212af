/**
 * Images for the report: validation images with what the best weights answered and which part of the image spoke for it,
 * and images whose label is likely wrong.
 */
import { existsSync } from "node:fs";
import { basename } from "node:path";
import { centreView } from "../../data/augmentation.ts";
import { nameWithin, type Dataset, type Encoded, type Pixels } from "../../data/dataset.ts";
import { decodeRecord } from "../../data/decode.ts";
import { openWhole } from "../../data/select.ts";
import { openDevice } from "../../devices/open.ts";
import { DataError, oneLine } from "../../errors.ts";
import { classActivationMaps, lastMaps } from "../../inference/cam.ts";
import { openTrained } from "../../inference/loaded_model.ts";
import type { Member } from "../../inference/member.ts";
import type { Network } from "../../net/recipe.ts";
import { given } from "../../options.ts";
import { overlay } from "../../pictures/heat.ts";
import { enlarge } from "../../pictures/pixels.ts";
import { photoUrl } from "../../pictures/raster.ts";
import type { PageAnswer, PageAnswers } from "../../pictures/report_page.ts";
import { readLabelIssues } from "../../runs/findings.ts";
import type { Confusion, Example, Run } from "../../runs/runs.ts";
import type { Session } from "../../training/session.ts";
import { openCheckpoint } from "../../weights/checkpoint.ts";
import { plural } from "../../words.ts";
import { seen } from "../shared/seen.ts";
import { drawable, unlessUnreadable } from "../shared/thumbnails.ts";

/** Smaller images are enlarged to about this many pixels, each pixel to a square. */
const SIDE = 96;

export interface ReportImages {
  readonly answers?: PageAnswers;
  readonly issues?: PageAnswers;
}

/** At the end of a training, whose model then has the best weights. @throws CheckpointError or DeviceError */
export async function imagesOfSession({ run, model, deviceMean, train, val }: Session): Promise<ReportImages> {
  const confusion = run.readConfusion();
  if (!confusion?.examples?.length) return {};
  using best = openCheckpoint(run.best);
  best.loadInto(model);
  return {
    answers: await drawAnswers({ model, mean: deviceMean }, confusion, [val.dataset]),
    ...given({ issues: await drawIssues(run, [val.dataset, train.dataset]) }),
  };
}

/**
 * From a run's folder and its data, on the cpu; a note where the data is gone. Nothing without recorded answers, or
 * without the weights that gave them.
 * @throws CheckpointError
 */
export async function imagesOfRun(run: Run): Promise<ReportImages> {
  const confusion = run.readConfusion();
  if (!confusion?.examples?.length || !existsSync(run.best)) return {};
  using trained = await openTrained(run.best);
  await using backend = await openDevice({ device: "cpu" });
  try {
    await using sets = await openWhole(run.readConfig());
    // What is held out may have changed with the images.
    const { val, train, isHeldOut } = sets;
    return {
      answers: await drawAnswers(trained.load(backend), confusion, isHeldOut ? [val, train] : [val]),
      ...given({ issues: await drawIssues(run, [val, train]) }),
    };
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return { answers: { note: `The images can't be shown: ${oneLine(error.message)}`, shown: [] } };
  }
}

async function drawAnswers(
  member: Member,
  { classes, examples = [] }: Confusion,
  sets: readonly Dataset[],
): Promise<PageAnswers> {
  const { record: side, crop } = member.model.network;
  const read = await readExamples(examples, sets, member.model.network);
  const missing = examples.length - read.length;
  const gone = `${missing} of ${plural(examples.length, "image")} can't be read any more`;
  if (read.length === 0) return { note: gone, shown: [] };
  const images = {
    pixels: Buffer.concat(read.map(({ pixels }) => pixels)),
    views: centreView(read.length, side, crop),
  };
  const labels = read.map(({ example }) => example.predicted);
  const cams = lastMaps(member.model.layers) && (await classActivationMaps(member, images, labels));
  const views = await seen(member.mean, images.pixels, images.views, crop);
  const shown = read.map(async ({ example: { image, label, predicted, probability } }, n) => {
    const large = enlarge(views[n]!, Math.max(1, Math.round(SIDE / crop)));
    const pictures = cams ? [large, overlay(large, cams.maps[n]!, cams.side)] : [large];
    return {
      ...{ name: basename(image), right: classes[label]!, answer: classes[predicted]!, isRight: label === predicted },
      probability,
      pictures: await Promise.all(pictures.map(photoUrl)),
    };
  });
  const facts = [
    "Validation images of the best epoch, as the network sees them",
    cams && `red where ${cams.layer} speaks for the answer, each map scaled by its largest number (Grad-CAM)`,
    missing > 0 && gone,
  ];
  return { note: facts.filter(Boolean).join("; "), shown: await Promise.all(shown) };
}

/** @param sets the validation and the training set @returns undefined for runs without such images */
async function drawIssues(run: Run, sets: readonly [Dataset, Dataset]): Promise<PageAnswers | undefined> {
  const found = readLabelIssues(run);
  if (!found) return undefined;
  const [val, train] = sets;
  const names = found.issues.map(({ image }) => image);
  const read = { validation: readerOf(names, [val, train]), training: readerOf(names, [train, val]) };
  const shown: PageAnswer[] = [];
  // What is held out may have changed with the images.
  for (const { image, part = "validation", label: right, predicted, probability } of found.issues) {
    const encoded = await unlessUnreadable(() => read[part](image));
    const raster = encoded && (await drawable(async () => encoded));
    if (!raster) continue;
    const name = basename(image);
    const pictures = [await photoUrl(raster)];
    shown.push({ name, right, answer: predicted, isRight: false, probability, pictures });
  }
  const missing = found.issues.length - shown.length;
  const note =
    `Of ${plural(found.images, "image")}, each judged by a last layer that was trained without it. ` +
    "In bold what the model says instead; full names are in label-issues.json";
  const gone = missing > 0 ? `; ${missing} of ${plural(found.issues.length, "image")} can't be read any more` : "";
  return { note: note + gone, shown };
}

interface ReadExample {
  readonly example: Example;
  /** S × S × 3. */
  readonly pixels: Uint8Array;
}

/** The records of those images that can still be read. */
async function readExamples(
  examples: readonly Example[],
  sets: readonly Dataset[],
  { record: side, resize }: Network,
): Promise<ReadExample[]> {
  const read: ReadExample[] = [];
  const imageNamed = readerOf(examples.map(({ image }) => image), sets); // prettier-ignore
  for (const example of examples) {
    const pixels = new Uint8Array(3 * side * side);
    const image = await unlessUnreadable(async () => {
      const found = await imageNamed(example.image);
      if (found) await decodeRecord(found, side, pixels, resize);
      return found;
    });
    if (image) read.push({ example, pixels });
  }
  return read;
}

/**
 * A function that reads an image by its name within the first of the sets that has it; undefined if none has. The sets,
 * which may be large, are looked through once.
 */
function readerOf(names: readonly string[], sets: readonly Dataset[]) {
  const wanted = new Set(names);
  const places = new Map<string, () => Promise<Encoded | Pixels>>();
  for (const set of sets) {
    for (let i = 0; i < set.length && places.size < wanted.size; i++) {
      const name = nameWithin(set, i);
      if (wanted.has(name) && !places.has(name)) places.set(name, () => set.read(i));
    }
  }
  return async (name: string): Promise<Encoded | Pixels | undefined> => places.get(name)?.();
}
