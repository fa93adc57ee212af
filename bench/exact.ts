/** Computes single numbers of a layer's products in float64, from its operands in host memory. */

/** Each function computes one number of the result that it is named after. */
export interface Exact {
  y(index: number): number;
  dx(index: number): number;
  dw(index: number): number;
}

export interface Operands {
  readonly x: Float32Array;
  readonly w: Float32Array;
  readonly b: Float32Array;
  readonly dy: Float32Array;
}

/** w: outputs × inputs, x: inputs × images. */
export function exactLinear({ x, w, b, dy }: Operands, inputs: number, outputs: number, images: number): Exact {
  const sum = (count: number, term: (i: number) => number) => {
    let total = 0;
    for (let i = 0; i < count; i++) total += term(i);
    return total;
  };
  return {
    y(index) {
      const [o, n] = [Math.floor(index / images), index % images];
      return b[o]! + sum(inputs, (i) => w[o * inputs + i]! * x[i * images + n]!);
    },
    dx(index) {
      const [i, n] = [Math.floor(index / images), index % images];
      return sum(outputs, (o) => w[o * inputs + i]! * dy[o * images + n]!);
    },
    dw(index) {
      const [o, i] = [Math.floor(index / inputs), index % inputs];
      return sum(images, (n) => dy[o * images + n]! * x[i * images + n]!);
    },
  };
}

interface ConvShape {
  readonly stride: number;
  /** Above and on the left. */
  readonly pad: number;
  readonly groups: number;
  readonly input: readonly [c: number, h: number, w: number];
  readonly output: readonly [o: number, oh: number, ow: number];
  readonly size: number;
  readonly images: number;
}

/** The formulas of src/engine/ops/conv2d.ts, one number at a time. */
export function exactConv({ x, w, b, dy }: Operands, shape: ConvShape): Exact {
  const { stride, pad, groups, size, images } = shape;
  const [maps, height, width] = shape.input;
  const [filters, oh, ow] = shape.output;
  const [groupMaps, groupFilters] = [maps / groups, filters / groups];
  const weightAt = (o: number, c: number, i: number, j: number) => ((o * groupMaps + c) * size + i) * size + j;

  return {
    y(index) {
      const [o, p, q, n] = split(index, [oh, ow, images]);
      const firstMap = Math.floor(o / groupFilters) * groupMaps;
      let sum = b[o]!;
      for (let c = 0; c < groupMaps; c++) {
        for (let i = 0; i < size; i++) {
          for (let j = 0; j < size; j++) {
            const [row, column] = [p * stride + i - pad, q * stride + j - pad];
            if (row < 0 || row >= height || column < 0 || column >= width) continue;
            sum += w[weightAt(o, c, i, j)]! * x[(((firstMap + c) * height + row) * width + column) * images + n]!;
          }
        }
      }
      return sum;
    },
    dx(index) {
      const [map, row, column, n] = split(index, [height, width, images]);
      const group = Math.floor(map / groupMaps);
      let sum = 0;
      for (let i = 0; i < size; i++) {
        for (let j = 0; j < size; j++) {
          const [p, q] = [(row + pad - i) / stride, (column + pad - j) / stride];
          if (!Number.isInteger(p) || !Number.isInteger(q) || p < 0 || p >= oh || q < 0 || q >= ow) continue;
          for (let o = group * groupFilters; o < (group + 1) * groupFilters; o++) {
            sum += w[weightAt(o, map % groupMaps, i, j)]! * dy[((o * oh + p) * ow + q) * images + n]!;
          }
        }
      }
      return sum;
    },
    dw(index) {
      const [o, c, i, j] = split(index, [groupMaps, size, size]);
      const map = Math.floor(o / groupFilters) * groupMaps + c;
      let sum = 0;
      for (let p = 0; p < oh; p++) {
        for (let q = 0; q < ow; q++) {
          const [row, column] = [p * stride + i - pad, q * stride + j - pad];
          if (row < 0 || row >= height || column < 0 || column >= width) continue;
          const [from, at] = [((map * height + row) * width + column) * images, ((o * oh + p) * ow + q) * images];
          for (let n = 0; n < images; n++) sum += dy[at + n]! * x[from + n]!;
        }
      }
      return sum;
    },
  };
}

/** The indices of an element of a 4-D array, given all sizes but the first. */
function split(index: number, sides: readonly [number, number, number]): [number, number, number, number] {
  const [s1, s2, s3] = sides;
  const [d, rest] = [index % s3, Math.floor(index / s3)];
  const [c, more] = [rest % s2, Math.floor(rest / s2)];
  return [Math.floor(more / s1), more % s1, c, d];
}
