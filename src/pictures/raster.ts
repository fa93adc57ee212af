/** Raster images in a picture, aligned with its pixel grid so that they are not resampled. */
import { loadImage } from "../native/add_ons.ts";

/** Interleaved RGB, row by row, one byte per channel. */
export interface Raster {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** The opacity of each pixel, 0 … 255, if not all are opaque. */
  readonly alpha?: Uint8Array;
}

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

/** Enlarges each pixel to a square. @param factor an integer */
export function enlarge({ pixels, width, height }: Raster, factor: number): Raster {
  const large = new Uint8Array(pixels.length * factor * factor);
  const row = width * factor;
  for (let y = 0, to = 0; y < height * factor; y++) {
    for (let x = 0; x < row; x++, to += 3) {
      const from = (Math.floor(y / factor) * width + Math.floor(x / factor)) * 3;
      for (let c = 0; c < 3; c++) large[to + c] = pixels[from + c]!;
    }
  }
  return { pixels: large, width: row, height: height * factor };
}

/** RGB to opaque RGBA. */
export function withAlpha(rgb: Uint8Array): Uint8Array {
  const rgba = new Uint8Array((rgb.length / 3) * 4).fill(255);
  for (let from = 0, to = 0; from < rgb.length; from += 3, to += 4) {
    for (let c = 0; c < 3; c++) rgba[to + c] = rgb[from + c]!;
  }
  return rgba;
}

export function withoutAlpha(rgba: Uint8Array): Uint8Array {
  const rgb = new Uint8Array((rgba.length / 4) * 3);
  for (let from = 0, to = 0; to < rgb.length; from += 4, to += 3) {
    for (let c = 0; c < 3; c++) rgb[to + c] = rgba[from + c]!;
  }
  return rgb;
}
