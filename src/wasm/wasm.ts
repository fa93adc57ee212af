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

  copyBytes(to: Address, from: Address, count: Count): void;
  clearFloats(to: Address, count: Count): void;
  fillFloats(to: Address, value: number, count: Count): void;
  addFloats(to: Address, from: Address, count: Count): void;
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
  rowSum(x: Address, y: Address, rows: Count, columns: Count): void;

  reluForward(x: Address, y: Address, count: Count): void;
  reluBackward(y: Address, dy: Address, dx: Address, count: Count): void;
  tanhForward(x: Address, y: Address, count: Count): void;
  tanhBackward(y: Address, dy: Address, dx: Address, count: Count): void;
  sgd(w: Address, v: Address, dw: Address, count: Count, rate: number, momentum: number, shrink: number): void;
  dropout(
    x: Address,
    y: Address,
    first: number,
    count: Count,
    key0: number,
    key1: number,
    threshold: number,
    scale: number,
  ): void;

  lrnForward(
    x: Address,
    y: Address,
    s: Address,
    maps: Count,
    plane: Count,
    count: Count,
    groupMaps: Count,
    reach: number,
    k: number,
    alpha: number,
    beta: number,
  ): void;
  lrnBackward(
    x: Address,
    s: Address,
    dy: Address,
    dx: Address,
    t: Address,
    maps: Count,
    plane: Count,
    count: Count,
    groupMaps: Count,
    reach: number,
    alpha: number,
    beta: number,
  ): void;
  mapNormForward(
    x: Address,
    y: Address,
    s: Address,
    column: Address,
    h: Count,
    w: Count,
    images: Count,
    reach: number,
    k: number,
    alpha: number,
    beta: number,
  ): void;
  mapNormBackward(
    x: Address,
    s: Address,
    dy: Address,
    dx: Address,
    t: Address,
    h: Count,
    w: Count,
    images: Count,
    reach: number,
    alpha: number,
    beta: number,
  ): void;

  maxPoolForward(
    x: Address,
    y: Address,
    argmax: Address,
    p: number,
    h: Count,
    w: Count,
    ow: Count,
    images: Count,
    window: number,
    stride: number,
  ): void;
  maxPoolBackward(
    dy: Address,
    argmax: Address,
    dx: Address,
    row: number,
    w: Count,
    oh: Count,
    ow: Count,
    images: Count,
    window: number,
    stride: number,
  ): void;
  averagePoolForward(
    x: Address,
    y: Address,
    p: number,
    h: Count,
    w: Count,
    ow: Count,
    images: Count,
    window: number,
    stride: number,
  ): void;
  averagePoolBackward(
    dy: Address,
    dx: Address,
    row: number,
    h: Count,
    w: Count,
    oh: Count,
    ow: Count,
    images: Count,
    window: number,
    stride: number,
  ): void;

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
    bias: Address,
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

  augmentRow(
    pixels: Address,
    views: Address,
    mean: Address,
    x: Address,
    i: number,
    images: Count,
    side: Count,
    crop: Count,
  ): void;
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
