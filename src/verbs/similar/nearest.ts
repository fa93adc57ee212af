/**
 * Exact nearest neighbours by Euclidean distance, without reading all vectors.
 *
 * The sketch of a vector x is its coordinates Bx along a few orthonormal directions, and the length of its residual,
 * r = √(|x|² − |Bx|²). By Pythagoras, and the triangle inequality in the orthogonal complement,
 *
 *   |x − q|² ≥ |Bx − Bq|² + (r_x − r_q)²,
 *
 * so a vector whose bound exceeds the k-th best distance found so far can't be among the k nearest. The directions are
 * the first principal directions of a sample (not centred), which makes the bound tight; any others would give the same
 * result, but more vectors would be read.
 */
import type { Backend } from "../../engine/backend.ts";
import { linear } from "../../engine/ops/linear.ts";
import { Tape } from "../../engine/tape.ts";
import { Purpose, Random } from "../../random.ts";

export interface Sketch {
  /** Number of directions, and size of a vector. */
  readonly directions: number;
  readonly size: number;
  /** Directions × size, with orthonormal rows; zeros beyond the rank of the sample. */
  readonly basis: Float32Array;
  /** Vectors × directions. */
  readonly coordinates: Float32Array;
  /** The length of each vector, and of its residual. */
  readonly lengths: Float32Array;
  readonly rests: Float32Array;
}

interface Neighbour {
  readonly row: number;
  readonly distance: number;
}

/** More directions make the bound tighter and the sketch larger. */
export const DIRECTIONS = 256;
const ROUNDS = 4;

/** a (m × k) × b (k × n), on a device. */
async function product(
  backend: Backend,
  a: Float32Array,
  b: Float32Array,
  [m, k, n]: readonly [number, number, number],
) {
  const tape = new Tape(backend, { record: false });
  const y = linear(tape.input([k, n], b), tape.input([m, k], a), tape.input([m], new Float32Array(m)));
  const values = await y.read();
  tape.release();
  return values;
}

/**
 * The first principal directions of vectors (rows × size), by subspace iteration.
 * @returns at most DIRECTIONS × size
 */
export async function principalDirections(backend: Backend, sample: Float32Array, size: number): Promise<Float32Array> {
  const rows = sample.length / size;
  const count = Math.min(DIRECTIONS, rows, size);
  const random = new Random(0, Purpose.weights);
  let basis = orthonormal(
    Float32Array.from({ length: count * size }, () => random.normal()),
    size,
  );
  for (let round = 0; round < ROUNDS; round++) {
    const along = await product(backend, sample, transposed(basis, size), [rows, size, count]);
    basis = orthonormal(await product(backend, transposed(along, count), sample, [count, rows, size]), size);
  }
  return basis;
}

/** Coordinates of vectors (rows × size) along the basis, their lengths, and those of their residuals. */
export async function sketchRows(backend: Backend, vectors: Float32Array, basis: Float32Array, size: number) {
  const [rows, directions] = [vectors.length / size, basis.length / size];
  const coordinates = await product(backend, vectors, transposed(basis, size), [rows, size, directions]);
  const [lengths, rests] = [new Float32Array(rows), new Float32Array(rows)];
  for (let row = 0; row < rows; row++) {
    const [all, along] = [squares(vectors, row, size), squares(coordinates, row, directions)];
    lengths[row] = Math.sqrt(all);
    rests[row] = Math.sqrt(Math.max(0, all - along));
  }
  return { coordinates, lengths, rests };
}

function transposed(values: Float32Array, columns: number): Float32Array {
  const rows = values.length / columns;
  const result = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = values[i * columns + j]!;
  return result;
}

/** Gram–Schmidt, twice because of rounding; a row that depends on earlier ones becomes zeros. */
function orthonormal(values: Float32Array, size: number): Float32Array {
  const rows = Array.from({ length: values.length / size }, (_, k) =>
    Float64Array.from(values.subarray(k * size, (k + 1) * size)),
  );
  rows.forEach((row, k) => {
    const before = Math.sqrt(dot(row, row));
    for (let time = 0; time < 2; time++) {
      for (const other of rows.slice(0, k)) {
        const along = dot(row, other);
        for (let i = 0; i < size; i++) row[i]! -= along * other[i]!;
      }
    }
    const length = Math.sqrt(dot(row, row));
    const scale = length > 1e-6 * before ? 1 / length : 0;
    for (let i = 0; i < size; i++) row[i]! *= scale;
  });
  return Float32Array.from(rows.flatMap((row) => [...row]));
}

function dot(a: Float64Array, b: Float64Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function squares(values: Float32Array, row: number, size: number): number {
  let sum = 0;
  for (let i = row * size; i < (row + 1) * size; i++) sum += values[i]! * values[i]!;
  return sum;
}

/** Allowance for rounding in the sketch, relative to |x|² + |q|²: some ten times the largest error seen. */
const SLACK = 1e-5;

/**
 * Finds the `count` vectors nearest to `query`, nearest first; ties by row.
 * @param read returns a vector, valid until the next call
 * @returns the neighbours, and the number of vectors read
 */
export function nearest(
  query: Float32Array,
  sketch: Sketch,
  count: number,
  read: (row: number) => Float32Array,
): { readonly found: readonly Neighbour[]; readonly compared: number } {
  const { bounds, tighten } = lowerBounds(query, sketch);
  const best = new Best(count);
  let compared = 0;
  const compare = (row: number) => {
    compared++;
    best.offer(row, squaredDistance(read(row), query, best.worst));
  };
  // Vectors with the smallest bounds are likely to be among the nearest, and rule out most others.
  const first = new Best(Math.max(32, 2 * count));
  for (let row = 0; row < bounds.length; row++) first.offer(row, bounds[row]!);
  const tried = new Set(first.rows);
  for (const row of tried) compare(row);
  const left: number[] = [];
  for (let row = 0; row < bounds.length; row++) {
    if (bounds[row]! > best.worst || tried.has(row)) continue;
    tighten(row);
    if (bounds[row]! <= best.worst) left.push(row);
  }
  for (const row of left.sort((a, b) => bounds[a]! - bounds[b]! || a - b)) {
    if (bounds[row]! > best.worst) break;
    compare(row);
  }
  return { found: best.rows.map((row, k) => ({ row, distance: Math.sqrt(best.values[k]!) })), compared };
}

/** Number of directions in the first bound, which is enough to rule out most vectors. */
const FIRST = 32;

/** Lower bounds of the squared distances from the query, by the first directions; `tighten` uses all for one vector. */
function lowerBounds(query: Float32Array, { directions, size, basis, coordinates, lengths, rests }: Sketch) {
  const along = new Float64Array(directions);
  for (let d = 0; d < directions; d++) {
    for (let i = 0; i < size; i++) along[d]! += basis[d * size + i]! * query[i]!;
  }
  const own = squares(query, 0, size);
  const rest = Math.sqrt(Math.max(0, own - dot(along, along)));
  const between = (row: number, from: number, to: number) => {
    let sum = 0;
    for (let d = from, at = row * directions + from; d < to; d++, at++) {
      const difference = coordinates[at]! - along[d]!;
      sum += difference * difference;
    }
    return sum;
  };
  const few = Math.min(FIRST, directions);
  const bounds = new Float64Array(rests.length);
  for (let row = 0; row < bounds.length; row++) {
    const length = lengths[row]!;
    bounds[row] = between(row, 0, few) - SLACK * (length * length + own);
  }
  const tighten = (row: number) => {
    const difference = rests[row]! - rest;
    bounds[row]! += between(row, few, directions) + difference * difference;
  };
  return { bounds, tighten };
}

/** How many squares are added up between two checks of the limit. */
const STRIDE = 256;

/** Infinity if it exceeds `limit`. */
function squaredDistance(a: Float32Array, b: Float32Array, limit: number): number {
  let sum = 0;
  for (let start = 0; start < a.length; start += STRIDE) {
    const end = Math.min(a.length, start + STRIDE);
    for (let i = start; i < end; i++) {
      const difference = a[i]! - b[i]!;
      sum += difference * difference;
    }
    if (sum > limit) return Infinity;
  }
  return sum;
}

/** The `count` smallest values offered, in order; ties by row. */
class Best {
  readonly rows: number[] = [];
  readonly values: number[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  /** Larger values are not kept. */
  get worst(): number {
    return this.values.length < this.#count ? Infinity : this.values[this.#count - 1]!;
  }

  offer(row: number, value: number): void {
    if (value === Infinity || value > this.worst) return;
    let at = this.values.length;
    while (at > 0 && (this.values[at - 1]! > value || (this.values[at - 1] === value && this.rows[at - 1]! > row)))
      at--;
    this.values.splice(at, 0, value);
    this.rows.splice(at, 0, row);
    if (this.values.length <= this.#count) return;
    this.values.pop();
    this.rows.pop();
  }
}
