/** Raster images as bytes. */

/** Interleaved RGB, row by row, one byte per channel. */
export interface Raster {
  readonly pixels: Uint8Array;
  readonly width: number;
  readonly height: number;
  /** The opacity of each pixel, 0 … 255, if not all are opaque. */
  readonly alpha?: Uint8Array;
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
