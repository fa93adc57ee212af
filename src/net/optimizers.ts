/** The optimizers, by their names in recipes and runs. */
import { UsageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import { Averaged } from "./later/averaged.ts";
import { AdamW } from "./later/adamw.ts";
import { Muon } from "./later/muon.ts";
import { Nesterov } from "./later/nesterov.ts";
import type { Model } from "./model.ts";
import type { Optimizer, OptimizerClass, OptimizerSettings } from "./optimizer.ts";
import type { Recipe } from "./recipe.ts";
import { Sgd } from "./sgd.ts";

const OPTIMIZERS: Readonly<Record<string, OptimizerClass>> = { sgd: Sgd, nesterov: Nesterov, adamw: AdamW, muon: Muon };

export const DEFAULT_OPTIMIZER = "sgd";
export const optimizerNames: readonly string[] = Object.keys(OPTIMIZERS);

/** @throws UsageError when no optimizer has this name */
export function findOptimizer(name: string): OptimizerClass {
  if (optimizerNames.includes(name)) return OPTIMIZERS[name]!;
  const known = optimizerNames.join(", ");
  throw new UsageError(`no optimizer is called "${name}"${suggest(name, optimizerNames)}; known: ${known}`);
}

/** With an average, the optimizer keeps it too. @throws UsageError as `findOptimizer`; ShapeError for invalid settings */
export function createOptimizer(
  model: Model,
  { optimizer = DEFAULT_OPTIMIZER, average, ...settings }: OptimizerSettings & Pick<Recipe, "optimizer" | "average">,
): Optimizer {
  const inner = new (findOptimizer(optimizer))(model, settings);
  return average ? new Averaged(model, inner, average) : inner;
}
