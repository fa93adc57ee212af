/**
 * Exact nearest neighbours by Euclidean distance, without reading all vectors.
 *
 * Of each vector x a sketch is kept: its coordinates Bx along a few orthonormal directions, and the length of the rest,
 * r = √(|x|² − |Bx|²). By Pythagoras and the triangle inequality in the remaining space,
 *
 *   |x − q|² ≥ |Bx − Bq|² + (r_x − r_q)²,
 *
 * so that a vector whose bound is beyond the k-th best distance found can't be among the k nearest. The directions are
 * the first principal ones of a sample (not centred), which makes the bound tight; with any others the result would be
 * the same, and only more vectors would be read.
 */
import type { Backend } from "../../engine/backend.ts";
import { linear } from "../../engine/ops/linear.ts";
import { Tape } from "../../engine/tape.ts";
import { Purpose, Random } from "../../random.ts";

export interface Sketch {
  /** How many directions, and how many numbers a vector has. */
  readonly directions: number;
  readonly size: number;
  /** Directions × size, orthonormal rows; rows of zeros where the sample has no more directions. */
  readonly basis: Float32Array;
  /** Vectors × directions. */
  readonly coordinates: Float32Array;
  /** Of each vector its length, and the length of what the directions leave. */
  readonly lengths: Float32Array;
  readonly rests: Float32Array;
}

export interface Neighbour {
  readonly row: number;
  readonly distance: number;
}

/** Of more directions the bound is tighter and the sketch larger. */
export const DIRECTIONS = 256;
const ROUNDS = 4;

/** a (m × k) times b (k × n), on a device. */
async function product(
  backend: Backend,
  a: Float32Array,
  b: Float32Array,
  [m, k, n]: readonly [number, number, number],
) {
  const tape = new Tape(backend, { record: false });
  const y = linear(tape.input([k, n], b), tape.input([m, k], a), tape.input([m], new Float32Array(m)));
  const values = (await y.read()) as Float32Array;
  tape.release();
  return values;
}

/** The first principal directions of `rows` vectors, by subspace iteration. @returns at most DIRECTIONS × size */
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

/** Coordinates of vectors (rows × size) along the basis, their lengths, and those of their rests. */
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

/** Columns become rows. */
function transposed(values: Float32Array, columns: number): Float32Array {
  const rows = values.length / columns;
  const result = new Float32Array(values.length);
  for (let i = 0; i < rows; i++) for (let j = 0; j < columns; j++) result[j * rows + i] = values[i * columns + j]!;
  return result;
}

/** Gram and Schmidt, twice, so that rounding leaves nothing; a row that the ones before it explain becomes zeros. */
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

/** What rounding of the sketch may take from a bound, as a part of |x|² + |q|²: some ten times what it was seen to. */
const SLACK = 1e-5;

/**
 * The `count` vectors nearest to `query`, the nearest first; of equally near ones the first.
 * @param read vector number `row`; it holds until the next call
 * @returns them, and how many vectors were read
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
  // Those with the smallest bounds are likely among the nearest: after them most others are out.
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

/** So many directions make the first bound; for most vectors it is enough. */
const FIRST = 32;

/**
 * Of each vector what its squared distance from the query is at least, by the first directions; `tighten` makes one as
 * large as all of them allow.
 */
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

/** So many numbers are added up before it is asked whether that is too much already. */
const STRIDE = 256;

/** Infinity when it is larger than `limit`. */
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

/** The smallest of many values, in order; of equal ones the smallest rows. */
class Best {
  readonly rows: number[] = [];
  readonly values: number[] = [];
  readonly #count: number;

  constructor(count: number) {
    this.#count = count;
  }

  /** Above this a value has no place. */
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
