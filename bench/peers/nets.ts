/** The networks of src/net/networks.ts for the JavaScript peers; each peer translates them to its own ops. */

export type LayerSpec =
  | { readonly kind: "conv"; readonly stride: number; readonly pad: number; readonly groups: number }
  | { readonly kind: "fc" | "relu" | "flatten" }
  /** 3 × 3, stride 2. With `over`, the last window may extend past the edge; averages count only pixels inside. */
  | { readonly kind: "max-pool" | "average-pool"; readonly over: boolean }
  /** y = x · (k + α Σ x²)^−0.75; the sum runs over five neighbouring maps … */
  | { readonly kind: "lrn"; readonly k: 2; readonly alpha: number }
  /** … or over a window of 3 × 3 inside a map. */
  | { readonly kind: "map-norm"; readonly k: 1; readonly alpha: number };

const conv = ({ stride = 1, pad = 0, groups = 1 } = {}): LayerSpec => ({ kind: "conv", stride, pad, groups });
const relu: LayerSpec = { kind: "relu" };
const fc: LayerSpec = { kind: "fc" };
const flatten: LayerSpec = { kind: "flatten" };
const lrn: LayerSpec = { kind: "lrn", k: 2, alpha: 1e-4 };
const mapNorm: LayerSpec = { kind: "map-norm", k: 1, alpha: 5e-5 / 9 };
const maxPool: LayerSpec = { kind: "max-pool", over: false };
const maxPoolOver: LayerSpec = { kind: "max-pool", over: true };
const averagePool: LayerSpec = { kind: "average-pool", over: true };

/** Without dropout, for forward passes. */
const classifier = [flatten, fc, relu, fc, relu, fc];

export const nets: Readonly<Record<string, readonly LayerSpec[]>> = {
  alexnet: [
    ...[conv({ stride: 4 }), relu, lrn, maxPool],
    ...[conv({ pad: 2, groups: 2 }), relu, lrn, maxPool],
    ...[conv({ pad: 1 }), relu],
    ...[conv({ pad: 1, groups: 2 }), relu],
    ...[conv({ pad: 1, groups: 2 }), relu, maxPool],
    ...classifier,
  ],
  "alexnet-owt": [
    ...[conv({ stride: 4, pad: 2 }), relu, maxPool],
    ...[conv({ pad: 2 }), relu, maxPool],
    ...[conv({ pad: 1 }), relu],
    ...[conv({ pad: 1 }), relu],
    ...[conv({ pad: 1 }), relu, maxPool],
    ...classifier,
  ],
  "cifar10-18pct": [
    ...[conv({ pad: 2 }), maxPoolOver, relu, mapNorm],
    ...[conv({ pad: 2 }), relu, averagePool, mapNorm],
    ...[conv({ pad: 2 }), relu, averagePool],
    ...[flatten, fc],
  ],
};
