/**
 * The functions that kernels/wasm exports; the files there document what they compute. Addresses are in bytes, counts in
 * elements, flags 0 or 1.
 */
type Address = number;
type Count = number;

export interface WasmKernels {
  gemm(
    transA: number,
    transB: number,
    m: Count,
    n: Count,
    k: Count,
    a: Address,
    lda: Count,
    b: Address,
    ldb: Count,
    accumulate: number,
    c: Address,
    ldc: Count,
    workspace: Address,
  ): void;

  clearFloats(to: Address, count: Count): void;
  fillFloats(to: Address, value: number, count: Count): void;
  addFloats(to: Address, from: Address, count: Count): void;
  finishFloats(to: Address, count: Count, scale: number, shift: number, activation: number): void;
  resizeRows(
    x: Address,
    pitch: number,
    rows: Count,
    table: Address,
    taps: Count,
    columns: Count,
    y: Address,
    yPitch: number,
  ): void;
  resizeColumns(
    x: Address,
    pitch: number,
    bytes: Count,
    table: Address,
    taps: Count,
    rows: Count,
    y: Address,
    yPitch: number,
  ): void;
  addRecord(record: Address, pixels: Count, sums: Address, products: Address): void;

  winogradInput(
    side: Count,
    x: Address,
    h: Count,
    w: Count,
    images: Count,
    top: number,
    left: number,
    maps: Count,
    count: Count,
    to: Address,
    columns: Count,
    work: Address,
  ): void;
  winogradGradient(
    side: Count,
    dy: Address,
    oh: Count,
    ow: Count,
    images: Count,
    top: number,
    left: number,
    maps: Count,
    count: Count,
    to: Address,
    columns: Count,
    work: Address,
  ): void;
  winogradOutput(
    side: Count,
    products: Address,
    columns: Count,
    scale: Address,
    bias: Address,
    activation: number,
    y: Address,
    oh: Count,
    ow: Count,
    images: Count,
    top: number,
    left: number,
    maps: Count,
    count: Count,
    work: Address,
  ): void;
  winogradWeights(
    k: Count,
    w: Address,
    windowStep: Count,
    flip: number,
    count: Count,
    to: Address,
    positionStep: Count,
    work: Address,
  ): void;
  winogradWeightGradient(k: Count, u: Address, positionStep: Count, count: Count, dw: Address, work: Address): void;

  im2col: ColumnMatrix;
  col2im: ColumnMatrix;

  /** Kernels, called in one way: see devices/cpu/kernels/direct.ts. */
  [kernel: string]: (...given: number[]) => void;
}

/** Converts between images and a block of a convolution's column matrix; see kernels/wasm/im2col.ts. */
type ColumnMatrix = (
  x: Address,
  h: Count,
  w: Count,
  images: Count,
  ow: Count,
  kh: Count,
  kw: Count,
  stride: number,
  pad: number,
  kFirst: number,
  kCount: Count,
  first: number,
  count: Count,
  col: Address,
  ld: Count,
) => void;

export function instantiate(module: WebAssembly.Module, memory: WebAssembly.Memory): WasmKernels {
  return new WebAssembly.Instance(module, { env: { memory, abort } }).exports as unknown as WasmKernels;
}

function abort(): never {
  throw new Error("a WebAssembly kernel aborted");
}
