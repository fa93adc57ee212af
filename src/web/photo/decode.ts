/**
 * Images to records, as `predict` makes them: the browser decodes, without a colour profile and upright; what rescales is
 * the program's own kernel.
 */
import { BadImage } from "../../data/image.ts";
import { requireUsableSize, type Rescaler } from "../../data/rescale.ts";
import type { Network } from "../../net/recipe.ts";

/** Pixels that are read from the canvas at once: phones limit its size. */
const STRIP_PIXELS = 2 ** 22;

/**
 * @returns S × S × 3 bytes
 * @throws BadImage, with a sentence to follow the image's name
 */
export async function recordOf(
  image: Blob | ImageBitmap,
  rescaler: Rescaler,
  { record: side, resize = "bilinear" }: Network,
): Promise<Uint8Array<ArrayBuffer>> {
  const bitmap = image instanceof Blob ? await decode(image) : image;
  try {
    const { width, height } = bitmap;
    requireUsableSize(width, height, side);
    readPixels(bitmap, rescaler.room(3 * width * height));
    const record = new Uint8Array(3 * side * side);
    rescaler.cut({ width, height, orientation: 1 }, { side, shorter: side, resize }, record);
    return record;
  } finally {
    bitmap.close();
    rescaler.shrink();
  }
}

async function decode(file: Blob): Promise<ImageBitmap> {
  if (file.size === 0) throw new BadImage("the file is empty");
  try {
    // Upright, which older browsers have no word for.
    return await createImageBitmap(file, { colorSpaceConversion: "none", premultiplyAlpha: "none" });
  } catch {
    if (await isHeic(file)) {
      throw new BadImage("it is a HEIC photo, which this browser can't read: save it as JPEG first");
    }
    throw new BadImage("it is no image that this browser can read: JPEG, PNG and WebP are");
  }
}

/** Brands of the ISO base media files (ISO/IEC 14496-12) that phones keep photos in. */
const HEIC = ["heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1"];

async function isHeic(file: Blob): Promise<boolean> {
  const start = String.fromCharCode(...new Uint8Array(await file.slice(0, 12).arrayBuffer()));
  return start.slice(4, 8) === "ftyp" && HEIC.includes(start.slice(8, 12));
}

/** Writes width × height × 3 bytes; what is transparent is put on white. */
function readPixels(bitmap: ImageBitmap, rgb: Uint8Array): void {
  const { width, height } = bitmap;
  const rows = Math.min(height, Math.max(1, Math.floor(STRIP_PIXELS / width)));
  const context = new OffscreenCanvas(width, rows).getContext("2d", { willReadFrequently: true });
  if (!context) throw new BadImage(`this browser has no memory for ${width} × ${height} pixels`);
  context.imageSmoothingEnabled = false;
  context.fillStyle = "#fff";
  for (let top = 0, to = 0; top < height; top += rows) {
    const count = Math.min(rows, height - top);
    context.fillRect(0, 0, width, rows);
    context.drawImage(bitmap, 0, -top);
    const { data } = context.getImageData(0, 0, width, count);
    for (let from = 0; from < data.length; from += 4, to += 3) {
      rgb[to] = data[from]!;
      rgb[to + 1] = data[from + 1]!;
      rgb[to + 2] = data[from + 2]!;
    }
  }
}
