/**
 * The development kit of ILSVRC-2012 and ILSVRC-2010: `meta.mat`, with each synset's challenge number, WordNet ID and
 * words, and the ground truth of the validation images, one synset number per line in the order of their names.
 */
import { DataError } from "../../errors.ts";
import { excerpt, readText, readWhole, type Bytes } from "../../io/bytes.ts";
import { plural } from "../../words.ts";
import { descend, openArchive } from "../archive.ts";
import type { Listing } from "../listing.ts";
import { readVariable, type Struct } from "./matlab.ts";
import { SYNSET } from "./synsets.ts";

const MAX_META_BYTES = 64 * 2 ** 20;

interface Devkit {
  /** The synsets with images: the leaves of the hierarchy. */
  readonly wnids: readonly string[];
  readonly words: ReadonlyMap<string, string>;
  /** Each synset's challenge number, from 1. */
  readonly ids: ReadonlyMap<string, number>;
  /** The synset of validation image k, from 1. @throws DataError when there is none */
  synsetOf(image: number): string;
}

export type Year = "2010" | "2012";

const ARCHIVES: Readonly<Record<Year, string>> = {
  "2010": "ILSVRC2010_devkit-1.0.tar.gz",
  "2012": "ILSVRC2012_devkit_t12.tar.gz",
};
const FOLDERS: Readonly<Record<Year, string>> = { "2010": "devkit-1.0", "2012": "ILSVRC2012_devkit_t12" };

/** Looks for the devkit among the files and beside them, as an archive or unpacked. @throws DataError when it is damaged */
export async function findDevkit(listing: Listing, year: Year): Promise<Devkit | undefined> {
  const archive = listing.paths.findIndex((path) => isArchive(path.split("/").at(-1)!, year));
  if (archive >= 0) return readDevkit(await descend(listing, archive), year);
  const truth = `${FOLDERS[year]}/data/${truthName(year)}`;
  if (listing.paths.some((path) => `/${path}`.endsWith(`/${truth}`))) return readDevkit(listing, year);
  const packed = await listing.beside?.(ARCHIVES[year]);
  if (packed) {
    const { unpacking } = listing;
    const inner = await openArchive(packed, { unpacking });
    try {
      return await readDevkit(inner, year);
    } finally {
      await inner.close();
    }
  }
  const labels = await listing.beside?.(truth);
  if (!labels) return undefined;
  const meta = await listing.beside!(`${FOLDERS[year]}/data/meta.mat`);
  try {
    if (!meta) throw new DataError(`there is no meta.mat beside ${labels.name}: unpack the whole devkit`);
    return await parse(meta, labels, year);
  } finally {
    await labels.close();
    await meta?.close();
  }
}

/** The end of an error message when the devkit is missing. */
export const wanted = (year: Year) =>
  `their labels are in ${ARCHIVES[year]}: download it from image-net.org and put it beside them`;

/** Also accepts what browsers add to the name of a second download. */
function isArchive(name: string, year: Year): boolean {
  return name.startsWith(`ILSVRC${year}_devkit`) && /\.(tar|tar\.gz|tgz)$/.test(name);
}

const truthName = (year: Year) => `ILSVRC${year}_validation_ground_truth.txt`;

async function readDevkit(files: Listing, year: Year): Promise<Devkit> {
  const open = async (name: string) => {
    const i = files.paths.findIndex((path) => path.endsWith(`data/${name}`));
    if (i < 0) throw new DataError(`${files.name} has no data/${name}: unpack or download the whole devkit`);
    return files.open(i);
  };
  return parse(await open("meta.mat"), await open(truthName(year)), year);
}

async function parse(meta: Bytes, truth: Bytes, year: Year): Promise<Devkit> {
  const synsets = readVariable(await readWhole(meta, MAX_META_BYTES), "synsets", meta.name);
  const byNumber = new Map<number, string>();
  const words = new Map<string, string>();
  if (typeof synsets === "string") throw new DataError(`${meta.name}: "synsets" is text instead of structs`);
  for (const [k, synset] of synsets.entries()) {
    const [number, wnid] = [fieldOf(synset, `ILSVRC${year}_ID`), fieldOf(synset, "WNID")];
    if (typeof number !== "number" || typeof wnid !== "string" || !SYNSET.test(wnid))
      throw new DataError(`${meta.name}: synset ${k} lacks an ILSVRC${year}_ID or WNID: it is not a devkit's meta.mat`);
    // Inner nodes of the hierarchy have no images.
    if ((fieldOf(synset, "num_children") ?? 0) !== 0) continue;
    byNumber.set(number, wnid);
    const said = fieldOf(synset, "words");
    if (typeof said === "string" && said !== "") words.set(wnid, said);
  }
  const labels = (await readText(truth, MAX_META_BYTES)).trimEnd().split(/\r?\n/);
  return {
    wnids: [...byNumber.values()].sort(),
    words,
    ids: new Map([...byNumber].map(([number, wnid]) => [wnid, number])),
    synsetOf(image) {
      const wnid = byNumber.get(Number(labels[image - 1]));
      if (wnid !== undefined) return wnid;
      const said =
        labels[image - 1] === undefined
          ? `has ${plural(labels.length, "line")}`
          : `says "${excerpt(labels[image - 1]!)}"`;
      throw new DataError(`${truth.name}, line ${image}: no synset of image ${image}: the file ${said}`);
    },
  };
}

function fieldOf(synset: Struct | number, field: string): string | number | undefined {
  const value = typeof synset === "number" ? undefined : synset.get(field);
  return typeof value === "object" ? value[0] : value;
}
