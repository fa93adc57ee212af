/** The optimizers, by their names in recipes and runs. */
import { UsageError } from "../errors.ts";
import { suggest } from "../suggest.ts";
import { AdamW } from "./later/adamw.ts";
import { Muon } from "./later/muon.ts";
import { Nesterov } from "./later/nesterov.ts";
import type { Model } from "./model.ts";
import type { Optimizer, OptimizerClass, OptimizerSettings } from "./optimizer.ts";
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

/** @throws UsageError as `findOptimizer`; ShapeError for invalid settings */
export function createOptimizer(
  model: Model,
  { optimizer = DEFAULT_OPTIMIZER, ...settings }: OptimizerSettings & { readonly optimizer?: string },
): Optimizer {
  return new (findOptimizer(optimizer))(model, settings);
}
