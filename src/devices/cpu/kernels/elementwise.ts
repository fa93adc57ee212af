/** Kernels that go through their buffers element by element. */
import { pieces, type Addresses, type CpuKernel, type Machine, type Uniforms } from "../kernel.ts";

/** Elements an item takes: 64 KB of each buffer. */
const PIECE = 16_384;

type Run = (at: (buffer: string) => number, count: number, machine: Machine, uniforms: Uniforms, first: number) => void;

/** A kernel over `size` elements of f32 buffers; `at` gives where an item's part of a buffer begins. */
function elementwise(name: string, run: Run): CpuKernel {
  return {
    name,
    plan: (uniforms) => ({
      stages: [
        pieces(uniforms.size!, PIECE, (first, count, addresses: Addresses, machine) =>
          run((buffer) => addresses[buffer]! + 4 * first, count, machine, uniforms, first),
        ),
      ],
    }),
  };
}

const copy: CpuKernel = {
  name: "copy",
  plan: ({ bytes }) => ({
    stages: [
      pieces(bytes!, 4 * PIECE, (first, count, { from, to }, { wasm }) =>
        wasm.copyBytes(to! + first, from! + first, count),
      ),
    ],
  }),
};

/** An item is a row of x. */
const augment: CpuKernel = {
  name: "augment",
  plan: ({ images, side, crop }) => ({
    stages: [
      {
        items: crop!,
        item: (i, { pixels, views, mean, x }, { wasm }) =>
          wasm.augmentRow(pixels!, views!, mean!, x!, i, images!, side!, crop!),
      },
    ],
  }),
};

export const elementwiseKernels: readonly CpuKernel[] = [
  copy,
  augment,
  elementwise("accumulate", (at, count, { wasm }) => wasm.addFloats(at("y"), at("x"), count)),
  elementwise("add_forward", (at, count, { wasm }) => {
    // A piece is still in the cache when it is read again.
    wasm.copyBytes(at("y"), at("a"), 4 * count);
    wasm.addFloats(at("y"), at("b"), count);
  }),
  elementwise("add_backward", (at, count, { wasm }) => wasm.copyBytes(at("dx"), at("dy"), 4 * count)),
  elementwise("relu_forward", (at, count, { wasm }) => wasm.reluForward(at("x"), at("y"), count)),
  elementwise("relu_backward", (at, count, { wasm }) => wasm.reluBackward(at("y"), at("dy"), at("dx"), count)),
  elementwise("tanh_forward", (at, count, { wasm }) => wasm.tanhForward(at("x"), at("y"), count)),
  elementwise("tanh_backward", (at, count, { wasm }) => wasm.tanhBackward(at("y"), at("dy"), at("dx"), count)),
  elementwise("sgd", (at, count, { wasm }, { rate, momentum, decay }) =>
    wasm.sgd(at("w"), at("v"), at("dw"), count, rate!, momentum!, decay! * rate!),
  ),
  elementwise("dropout", (at, count, { wasm }, { images, first, whole, key0, key1, threshold, scale }, start) => {
    const [x, y] = [at("x"), at("y")];
    // A run of elements whose indices follow each other: all of them, unless the images are a part of a batch.
    const isWhole = first === 0 && whole === images;
    for (let done = 0; done < count;) {
      const i = start + done;
      const index = Math.floor(i / images!) * whole! + first! + (i % images!);
      const run = isWhole ? count : Math.min(count - done, images! - (i % images!));
      wasm.dropout(x + 4 * done, y + 4 * done, index, run, key0!, key1!, threshold!, scale!);
      done += run;
    }
  }),
];
