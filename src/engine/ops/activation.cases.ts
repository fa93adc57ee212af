/** Test cases of activation functions. */
import { cases, ELEMENT, LINE_SIZES, TANH } from "../cases.ts";
import { reluBackward, reluForward, tanhBackward, tanhForward } from "./activation.ts";
import {
  geluBackward,
  geluForward,
  geluTanhBackward,
  geluTanhForward,
  hardSwishBackward,
  hardSwishForward,
  relu6Backward,
  relu6Forward,
  sigmoidBackward,
  sigmoidForward,
  siluBackward,
  siluForward,
} from "./later/activation.ts";

/** Those whose gradients need the input. */
const ofInput = [
  [relu6Forward, relu6Backward, 0],
  [sigmoidForward, sigmoidBackward, ELEMENT],
  [siluForward, siluBackward, ELEMENT],
  [geluForward, geluBackward, ELEMENT],
  [geluTanhForward, geluTanhBackward, ELEMENT],
  [hardSwishForward, hardSwishBackward, ELEMENT],
] as const;
/** Where functions have corners, or begin to be linear. */
const CORNERS = [NaN, 0, -0, 3, -3, 6, 1e-30, -1e30];
/** Whose square or cube is more than a float32 holds. */
const LARGE = [1e30, -1e30, 200, -200, 0];
/** How many numbers, and their scale. ±200: e^200 is more than a float32 holds. */
const SIZES = [
  [1, 1],
  [65, 8],
  [1009, 8],
  [1009, 200],
  [1028, 8],
  [1028, 200],
] as const;

export const activationCases = cases(({ add, random }) => {
  for (const size of LINE_SIZES) add(reluForward, 0, { size }, { x: random(size), y: size });
  const special = [NaN, Infinity, -Infinity, 0, -0, 1e-30, -1e30];
  add(reluForward, 0, { size: 7 }, { x: Float32Array.from(special), y: 7 });
  add(tanhForward, TANH, { size: 7 }, { x: Float32Array.from(special), y: 7 });
  for (const size of [1, 65, 1009, 1028]) {
    add(reluBackward, 0, { size }, { y: random(size).map((v) => Math.max(0, v)), dy: random(size), dx: size });
    // ±200: e^200 overflows float32.
    for (const scale of [0.1, 3, 200]) add(tanhForward, TANH, { size }, { x: random(size, scale), y: size });
    add(tanhBackward, ELEMENT, { size }, { y: random(size), dy: random(size), dx: size });
  }
  for (const [forward, backward, tolerance] of ofInput) {
    for (const x of [CORNERS, LARGE].map((numbers) => Float32Array.from(numbers))) {
      const size = x.length;
      add(forward, tolerance, { size }, { x, y: size });
      add(backward, tolerance, { size }, { x, dy: random(size), dx: size });
    }
    for (const [size, scale] of SIZES) {
      add(forward, tolerance, { size }, { x: random(size, scale), y: size });
      add(backward, tolerance, { size }, { x: random(size, scale), dy: random(size), dx: size });
    }
  }
});
