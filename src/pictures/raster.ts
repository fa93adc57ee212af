/** Raster images in a picture, aligned with its pixel grid so that they are not resampled. */
import { loadImage } from "../native/add_ons.ts";
import { enlarge, withAlpha, withoutAlpha, type Raster } from "./pixels.ts";

/** An SVG image element with its upper left corner at x, y. */
export async function image(x: number, y: number, raster: Raster): Promise<string> {
  const { width, height } = raster;
  return `<image x="${x}" y="${y}" width="${width}" height="${height}" href="${await dataUrl(raster)}"/>`;
}

/** The pixels as a PNG in a data URL. */
export async function dataUrl({ pixels, width, height, alpha }: Raster): Promise<string> {
  const rgba = withAlpha(pixels);
  alpha?.forEach((opacity, i) => (rgba[4 * i + 3] = opacity));
  const png = await loadImage().Transformer.fromRgbaPixels(rgba, width, height).png();
  return `data:image/png;base64,${Buffer.from(png).toString("base64")}`;
}

/** The pixels as a JPEG in a data URL: a tenth of a photo's PNG. */
export async function photoUrl({ pixels, width, height }: Raster): Promise<string> {
  const jpeg = await loadImage().Transformer.fromRgbaPixels(withAlpha(pixels), width, height).jpeg(90);
  return `data:image/jpeg;base64,${Buffer.from(jpeg).toString("base64")}`;
}

/**
 * Scales an image to fit maxWidth × maxHeight: a small one is enlarged by an integer factor, so that pixels become
 * squares; a large one is reduced by averaging.
 */
export async function fit(raster: Raster, maxWidth: number, maxHeight: number): Promise<Raster> {
  const room = Math.min(maxWidth / raster.width, maxHeight / raster.height);
  if (room >= 1) return enlarge(raster, Math.floor(room));
  const [width, height] = [raster.width, raster.height].map((side) => Math.max(1, Math.round(side * room))) as [
    number,
    number,
  ];
  const { FastResizeFilter, ResizeFit, Transformer } = loadImage();
  const rgba = await Transformer.fromRgbaPixels(withAlpha(raster.pixels), raster.width, raster.height)
    .fastResize({ width, height, filter: FastResizeFilter.Bilinear, fit: ResizeFit.Fill })
    .rawPixels();
  return { pixels: withoutAlpha(rgba), width, height };
}
