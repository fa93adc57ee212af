/** The filters of a network's first layer as colour images: the paper's Fig. 3. */
import { ShapeError } from "../errors.ts";
import { enlarge, type Raster } from "./pixels.ts";

/**
 * A grid of filters as `filterCells` makes them.
 * @param columns chosen for a grid of about 3:2 if not given
 * @param factor side in pixels of one weight
 * @throws as `filterCells`
 */
export function filterGrid(
  weights: Float32Array,
  shape: readonly number[],
  { columns = gridColumns(shape[0] ?? 0), factor = 1 }: { readonly columns?: number; readonly factor?: number } = {},
): Raster {
  return mosaic(filterCells(weights, shape, factor), columns, Math.max(1, Math.round(factor / 4)));
}

/**
 * A picture of each filter, scaled by its own largest absolute weight. Zero is mid-grey, so that a pixel shows the colour
 * that the filter responds to.
 * @param weights F × 3 × height × width
 * @param factor side in pixels of one weight
 * @throws ShapeError unless the filters have three channels
 */
export function filterCells(
  weights: Float32Array,
  [filters = 0, channels = 0, height = 0, width = 0]: readonly number[],
  factor = 1,
): Raster[] {
  if (channels !== 3 || filters < 1 || weights.length !== filters * 3 * height * width) {
    throw new ShapeError(
      `filters of ${filters} × ${channels} × ${height} × ${width} with ${weights.length} weights: expected F × 3 × H × W`,
    );
  }
  return Array.from({ length: filters }, (_, f) => {
    const own = weights.subarray(f * 3 * height * width, (f + 1) * 3 * height * width);
    const most = own.reduce((largest, weight) => Math.max(largest, Math.abs(weight)), 0) || 1;
    const pixels = new Uint8Array(3 * height * width);
    for (let c = 0; c < 3; c++) {
      for (let i = 0; i < height * width; i++) {
        pixels[3 * i + c] = Math.round(127.5 + (127.5 * own[c * height * width + i]!) / most);
      }
    }
    return enlarge({ pixels, width, height }, factor);
  });
}

/** A number of columns that fills all rows, if that makes a grid of 1:1 to 3:1; otherwise about 3:2. */
export function gridColumns(count: number): number {
  const whole = Array.from({ length: count }, (_, i) => i + 1).filter(
    (columns) => count % columns === 0 && columns ** 2 >= count && columns ** 2 <= 3 * count,
  );
  const ideal = Math.sqrt(1.5 * count);
  whole.sort((a, b) => Math.abs(a - ideal) - Math.abs(b - ideal));
  return whole[0] ?? Math.ceil(ideal);
}

/** Images of equal size in rows, `gap` pixels apart. Between them it is transparent, and white where nothing can be. */
export function mosaic(cells: readonly Raster[], columns: number, gap: number): Raster {
  const { width: cellWidth, height: cellHeight } = cells[0]!;
  const rows = Math.ceil(cells.length / columns);
  const width = columns * (cellWidth + gap) - gap;
  const height = rows * (cellHeight + gap) - gap;
  const pixels = new Uint8Array(3 * width * height).fill(255);
  const alpha = new Uint8Array(width * height);
  cells.forEach((cell, i) => {
    const left = (i % columns) * (cellWidth + gap);
    const top = Math.floor(i / columns) * (cellHeight + gap);
    for (let y = 0; y < cellHeight; y++) {
      const start = (top + y) * width + left;
      pixels.set(cell.pixels.subarray(3 * y * cellWidth, 3 * (y + 1) * cellWidth), 3 * start);
      alpha.fill(255, start, start + cellWidth);
    }
  });
  return { pixels, width, height, alpha };
}
