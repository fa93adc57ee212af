/**
 * Groups the files of a WebDataset into samples: files with the same key, among them an image and its label. The key is
 * followed by a dot and the field, such as `jpg`, `cls` or `mask.png`.
 */
import { kindOfOther, type Listing } from "../listing.ts";
import { formatByName, IMAGE_EXTENSIONS } from "../names.ts";
import type { RemarkKind } from "../remarks.ts";

interface Sample {
  readonly image: number;
  readonly cls?: number;
  readonly json?: number;
}

interface SampleFiles {
  cls?: number;
  json?: number;
  /** Images by their field. */
  readonly images: Map<string, number>;
}

const LABEL = /\.(cls|json)$/i;
/** Files with class names, which may be among the samples. */
const NAMES = /(?:^|\/)classes\.(?:txt|json)$/;

/**
 * The samples with a label and an image, in the order of the images. Of several images `jpg` is preferred, then `jpeg`,
 * and so on. One in another field, such as `image.png`, is used only if there is none of these, and if no sample has
 * that field in addition to these, as with masks.
 * @param leave called for files that are not part of a sample
 * @param several called if two images of a sample are equally suitable; otherwise the first is used
 */
export function samplesOf(
  { paths }: Listing,
  leave: (kind: RemarkKind, i: number) => void = () => {},
  several: (first: number, second: number) => void = () => {},
): Sample[] {
  const byKey = new Map<string, SampleFiles>();
  const images: number[] = [];
  for (const [i, path] of paths.entries()) {
    const field = LABEL.exec(path)?.[1]!.toLowerCase() as "cls" | "json" | undefined;
    if (NAMES.test(path)) continue;
    if (field) {
      const key = path.slice(0, -field.length - 1);
      const own: SampleFiles = byKey.get(key) ?? { images: new Map() };
      own[field] = i;
      byKey.set(key, own);
    } else if (formatByName(path)) images.push(i);
    else leave(kindOfOther(path), i);
  }
  /** Fields that some sample has in addition to a preferred image. */
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
 * Splits an image's path into key and field. Keys may contain dots (`clip_1.0.jpg`): the longest one with a label is
 * used. A field begins with a letter, so that an unlabelled frame does not get its clip's label.
 */
function splitKey(path: string, keys: ReadonlyMap<string, unknown>): [key: string, field: string] | undefined {
  const start = path.lastIndexOf("/") + 1;
  for (let dot = path.lastIndexOf("."); dot > start; dot = path.lastIndexOf(".", dot - 1)) {
    const [key, field] = [path.slice(0, dot), path.slice(dot + 1).toLowerCase()];
    if (keys.has(key) && /^\p{L}/u.test(field)) return [key, field];
  }
  return undefined;
}

function plainField({ images }: SampleFiles): string | undefined {
  return IMAGE_EXTENSIONS.find((extension) => images.has(extension));
}
