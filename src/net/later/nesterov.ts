/** SGD with Nesterov's momentum (Sutskever et al. 2013, eq. 3 and 4); the update rule is in src/engine/ops/sgd.ts. */
import { Sgd } from "../sgd.ts";

/** As `Sgd`, with the gradient taken as that of a step ahead. */
export class Nesterov extends Sgd {
  protected override readonly looksAhead = true;
}
