/** Response normalisation, across maps (lrn_*) and inside a map (map_norm_*). */
import type { CpuKernel } from "../kernel.ts";

/** Positions of the plane that an item takes, through all maps: 1 KB of each. */
const POSITIONS = 256;

const lrnForward: CpuKernel = {
  name: "lrn_forward",
  plan: (u) => ({
    stages: [
      {
        items: Math.ceil(u.plane! / POSITIONS),
        item(index, at, { wasm }) {
          const p = index * POSITIONS;
          const count = Math.min(POSITIONS, u.plane! - p);
          const [x, y, s] = [at.x! + 4 * p, at.y! + 4 * p, at.s! + 4 * p];
          wasm.lrnForward(x, y, s, u.maps!, u.plane!, count, u.groupMaps!, u.reach!, u.k!, u.alpha!, u.beta!);
        },
      },
    ],
  }),
};

const lrnBackward: CpuKernel = {
  name: "lrn_backward",
  plan: (u) => ({
    scratch: u.maps! * POSITIONS * 4,
    stages: [
      {
        items: Math.ceil(u.plane! / POSITIONS),
        item(index, at, { wasm, scratch }) {
          const p = index * POSITIONS;
          const count = Math.min(POSITIONS, u.plane! - p);
          const [x, s, dy, dx] = [at.x! + 4 * p, at.s! + 4 * p, at.dy! + 4 * p, at.dx! + 4 * p];
          wasm.lrnBackward(x, s, dy, dx, scratch, u.maps!, u.plane!, count, u.groupMaps!, u.reach!, u.alpha!, u.beta!);
        },
      },
    ],
  }),
};

const mapNormForward: CpuKernel = {
  name: "map_norm_forward",
  plan: ({ images, c, h, w, reach, k, alpha, beta }) => ({
    scratch: w! * images! * 4,
    stages: [
      {
        items: c!,
        item(index, at, { wasm, scratch }) {
          const map = index * h! * w! * images! * 4;
          const [x, y, s] = [at.x! + map, at.y! + map, at.s! + map];
          wasm.mapNormForward(x, y, s, scratch, h!, w!, images!, reach!, k!, alpha!, beta!);
        },
      },
    ],
  }),
};

const mapNormBackward: CpuKernel = {
  name: "map_norm_backward",
  plan: ({ images, c, h, w, reach, alpha, beta }) => ({
    scratch: (h! + 2) * w! * images! * 4,
    stages: [
      {
        items: c!,
        item(index, at, { wasm, scratch }) {
          const map = index * h! * w! * images! * 4;
          const [x, s, dy, dx] = [at.x! + map, at.s! + map, at.dy! + map, at.dx! + map];
          wasm.mapNormBackward(x, s, dy, dx, scratch, h!, w!, images!, reach!, alpha!, beta!);
        },
      },
    ],
  }),
};

export const normalizationKernels: readonly CpuKernel[] = [lrnForward, lrnBackward, mapNormForward, mapNormBackward];
