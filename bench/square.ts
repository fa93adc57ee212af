/** Square products as layers. */
import { fc } from "../src/net/layers/index.ts";
import type { NamedLayer } from "./layer_piece.ts";

/** A layer whose forward pass on `side` images is the product of two square matrices. */
export function square(side: number): NamedLayer {
  const layer = fc("square", side, { sigma: 0.01 });
  const input = [side, 1, 1] as const;
  return {
    layer,
    label: "square",
    input,
    output: input,
    parameters: layer.parameters!(input),
    state: [],
    multiplyAdds: side * side,
  };
}
