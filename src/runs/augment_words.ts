/** An augmentation in words. */
import type { Augmentation, Network } from "../net/recipe.ts";
import { plural } from "../words.ts";

/** "random crops, half of the images mirrored, …", or "none". */
export function inWords(augmentation: Augmentation, { crop: size, record }: Network): string {
  const { crop, pad, sharedCrop, resizedCrop, mirror, alternate, colour } = augmentation;
  const { divideBy, jitter, erase, mixup, cutmix, smooth } = augmentation;
  const mixing = [mixup > 0 && `mixup α ${mixup}`, cutmix > 0 && `cutmix α ${cutmix}`].filter(Boolean).join(" or ");
  const parts = [
    resizedCrop > 0 && `parts of ${percent(resizedCrop)} to 100% of the area, resized`,
    (crop || pad > 0) &&
      resizedCrop === 0 &&
      size < record + 2 * pad &&
      (sharedCrop > 1 ? `one random crop for ${sharedCrop} images` : "random crops") +
        (pad > 0 ? ` of the image continued by ${plural(pad, "pixel")}` : ""),
    alternate && "mirrored in every other epoch",
    mirror && !alternate && "half of the images mirrored",
    colour > 0 && `colours moved by ${colour} σ along each axis`,
    jitter > 0 && `brightness, contrast and saturation ± ${percent(jitter)}, hue ± ${percent(jitter / 4)} of a turn`,
    erase > 0 && `a rectangle erased in ${percent(erase)} of them`,
    mixing !== "" && `mixed with the next image (${mixing})`,
    smooth > 0 && `labels smoothed by ${smooth}`,
    divideBy !== 1 && `divided by ${divideBy}`,
  ].filter((part) => part !== false);
  return parts.length === 0 ? "none" : parts.join(", ");
}

function percent(share: number): string {
  return `${Number((100 * share).toFixed(1))}%`;
}
