/**
 * ILSVRC-2012 in the layout of Kaggle's "ImageNet Object Localization Challenge": ILSVRC/Data/CLS-LOC/ with train/ and
 * val/, the latter labelled by LOC_val_solution.csv. That and LOC_synset_mapping.txt may also be above the given folder.
 */
import { DataError } from "../../errors.ts";
import { excerpt, readText } from "../../io/bytes.ts";
import type { Listing } from "../listing.ts";
import { add } from "./classes.ts";
import { csvRows } from "./csv.ts";
import { arrangeSynsets, synsetFolders, type SynsetFiles } from "./ilsvrc.ts";
import type { ImageSource } from "./source.ts";
import { parseSynsets } from "./synsets.ts";

const SOLUTION = "LOC_val_solution.csv";
const MAPPING = "LOC_synset_mapping.txt";
const VAL_IMAGE = /(?:^|\/)val\/(ILSVRC2012_val_\d{8})\.jpe?g$/i;
const MAX_TEXT_BYTES = 64 * 2 ** 20;

export const kaggle: ImageSource = {
  async openListing(listing) {
    if (!listing.paths.some((path) => VAL_IMAGE.test(path))) return undefined;
    const solution = await textOf(listing, SOLUTION);
    if (solution === undefined) return undefined;
    const words = parseSynsets((await textOf(listing, MAPPING))?.text ?? "");
    const val = valImages(listing, solution);
    return arrangeSynsets(listing, synsetFolders(listing), { ...val, words });
  },
};

interface Text {
  readonly name: string;
  readonly text: string;
}

/** A file in the set, or in one of the three folders above it. */
async function textOf(listing: Listing, name: string): Promise<Text | undefined> {
  const i = listing.paths.findIndex((path) => `/${path}`.endsWith(`/${name}`));
  const beside = async () => {
    for (const up of ["", "../", "../../"]) {
      const found = await listing.beside?.(up + name);
      if (found) return found;
    }
    return undefined;
  };
  const bytes = i >= 0 ? await listing.open(i) : await beside();
  if (!bytes) return undefined;
  try {
    return { name: bytes.name, text: await readText(bytes, MAX_TEXT_BYTES) };
  } finally {
    await bytes.close();
  }
}

/** Rows of "ImageId,PredictionString": a synset and four numbers per object, all of the same synset. */
function valImages(listing: Listing, { name, text }: Text): SynsetFiles {
  const synsets = new Map<string, string>();
  for (const { line, cells } of csvRows(text, name)) {
    const [image = "", objects = ""] = cells;
    if (line === 1 && image === "ImageId") continue;
    const wnid = /^(n\d{8}) /.exec(objects)?.[1];
    if (wnid === undefined)
      throw new DataError(
        `${name}, line ${line}: expected an image and "n01440764 …", found "${excerpt(cells.join(","))}"`,
      );
    synsets.set(image, wnid);
  }
  const files = new Map<string, number[]>();
  listing.paths.forEach((path, i) => {
    const image = VAL_IMAGE.exec(path)?.[1];
    if (image === undefined) return;
    const wnid = synsets.get(image);
    if (wnid === undefined) throw new DataError(`${name} has no row for ${image}: download it again`);
    add(files, wnid, i);
  });
  return { listing, files };
}
