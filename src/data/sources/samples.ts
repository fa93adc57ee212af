/**
 * The samples of a WebDataset: files with one key, an image and its label among them. What follows the key and a dot is
 * the name of a field, such as `jpg`, `cls` or `mask.png`.
 */
import { kindOfOther, type Listing } from "../listing.ts";
import { formatByName, IMAGE_ENDINGS } from "../names.ts";
import type { RemarkKind } from "../remarks.ts";

interface Sample {
  readonly image: number;
  readonly cls?: number;
  readonly json?: number;
}

interface Labelled {
  cls?: number;
  json?: number;
  /** Images by their field. */
  readonly images: Map<string, number>;
}

const LABEL = /\.(cls|json)$/i;
/** The names of the classes, which may lie among the samples. */
const NAMES = /(?:^|\/)classes\.(?:txt|json)$/;

/**
 * The samples that have a label and an image, in the order of the images. Of several images it is `jpg` that counts,
 * else `jpeg`, and so on; one of another field, such as `image.png`, only where there is none of these, and where no
 * sample has that field beside them, as masks are.
 * @param leave is told of files that are no part of a sample
 * @param several is told of two images of one sample, of which neither goes before the other; else the first counts
 */
export function samplesOf(
  { paths }: Listing,
  leave: (kind: RemarkKind, i: number) => void = () => {},
  several: (first: number, second: number) => void = () => {},
): Sample[] {
  const byKey = new Map<string, Labelled>();
  const images: number[] = [];
  for (const [i, path] of paths.entries()) {
    const field = LABEL.exec(path)?.[1]!.toLowerCase() as "cls" | "json" | undefined;
    if (NAMES.test(path)) continue;
    if (field) {
      const key = path.slice(0, -field.length - 1);
      const own: Labelled = byKey.get(key) ?? { images: new Map() };
      own[field] = i;
      byKey.set(key, own);
    } else if (formatByName(path)) images.push(i);
    else leave(kindOfOther(path), i);
  }
  /** Fields that some sample has beside the image that counts. */
  const beside = new Set<string>();
  for (const i of images) {
    const [key, field] = splitKey(paths[i]!, byKey) ?? [];
    const own = key === undefined ? undefined : byKey.get(key)!.images;
    if (!own) leave("unlabelled image", i);
    else if (own.has(field!)) leave("second image", i);
    else own.set(field!, i);
  }
  for (const own of byKey.values()) {
    if (plainField(own)) for (const field of own.images.keys()) if (field.includes(".")) beside.add(field);
  }
  const chosen = new Map<number, Sample>();
  for (const { images: own, ...label } of byKey.values()) {
    const [first, second] = [...own].flatMap(([field, i]) => (beside.has(field) ? [] : [i]));
    const plain = plainField({ images: own });
    if (plain === undefined && first !== undefined && second !== undefined) several(first, second);
    const image = plain === undefined ? first : own.get(plain);
    if (image !== undefined) chosen.set(image, { image, ...label });
    else leave("lone label", (label.cls ?? label.json)!);
    for (const i of own.values()) if (i !== image) leave("second image", i);
  }
  return images.flatMap((i) => chosen.get(i) ?? []);
}

/**
 * The key of an image, and its field. A key may hold dots (`clip_1.0.jpg`): the longest that has a label is its own. A
 * field begins with a letter, so that a frame without a label is not given that of its clip.
 */
function splitKey(path: string, keys: ReadonlyMap<string, unknown>): [key: string, field: string] | undefined {
  const start = path.lastIndexOf("/") + 1;
  for (let dot = path.lastIndexOf("."); dot > start; dot = path.lastIndexOf(".", dot - 1)) {
    const [key, field] = [path.slice(0, dot), path.slice(dot + 1).toLowerCase()];
    if (keys.has(key) && /^\p{L}/u.test(field)) return [key, field];
  }
  return undefined;
}

function plainField({ images }: Labelled): string | undefined {
  return IMAGE_ENDINGS.find((ending) => images.has(ending));
}
