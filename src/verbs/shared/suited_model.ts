/** The default model for a data set. */
import type { Dataset } from "../../data/dataset.ts";
import { readHeader } from "../../data/header.ts";
import { AlexNetError } from "../../errors.ts";

/** Images up to this side are small, such as CIFAR's. */
const SMALL_SIDE = 64;
/** The first readable image decides; a set without one fails later. */
const MAX_LOOKS = 100;

/** The paper's network, for photos. */
export const PHOTOS = "alexnet";

/** The paper's network for photos, the 2012 CIFAR network for small images, "small" for the built-in set. */
export async function suitedModel(data: string | Dataset | null, set: Dataset): Promise<string> {
  if (data === null) return "small";
  for (let i = 0; i < Math.min(set.length, MAX_LOOKS); i++) {
    const image = await set.read(i).catch(passOver);
    const size = image?.kind === "encoded" ? readHeader(image.bytes) : image;
    if (typeof size !== "object") continue;
    return Math.min(size.width, size.height) <= SMALL_SIDE ? "cifar10-18pct" : PHOTOS;
  }
  return PHOTOS;
}

/** An image that can't be read is reported when it is decoded. */
function passOver(error: unknown): undefined {
  if (!(error instanceof AlexNetError)) throw error;
}
