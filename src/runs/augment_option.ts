/**
 * --augment: a preset, then parts that add to it or change it, separated by commas.
 *
 *   paper                       modern,mixup=0.4,erase=0
 *   crop,mirror,colour=0.05     paper,mirror=0
 */
import { UsageError } from "../errors.ts";
import { MODERN_AUGMENTATION, NO_AUGMENTATION, PAPER_AUGMENTATION, type Augmentation } from "../net/recipe.ts";
import { AUGMENTATION_PARTS, type AugmentationPart } from "../net/recipe_rules.ts";
import { option } from "../option_names.ts";
import { suggest } from "../suggest.ts";

const PRESETS: Readonly<Record<string, Augmentation>> = {
  paper: PAPER_AUGMENTATION,
  modern: MODERN_AUGMENTATION,
  none: NO_AUGMENTATION,
};

/**
 * The augmentation that --augment asks for, the recipe's if it is not given. `sharedCrop` and `divideBy`, which the
 * 2012 program has, are the recipe's in any case.
 * @throws UsageError for unknown parts and values out of range
 */
export function makeAugmentation(recipe: Augmentation, augment: string | undefined): Augmentation {
  if (augment === undefined) return recipe;
  const [first = "", ...others] = augment.split(",");
  const preset = Object.hasOwn(PRESETS, first) ? PRESETS[first] : undefined;
  const { sharedCrop, divideBy } = recipe;
  const found = { ...NO_AUGMENTATION, ...preset, sharedCrop, divideBy };
  for (const text of preset ? others : [first, ...others]) {
    const { key, value } = parsePart(augment, text);
    if (key === "crop" || key === "mirror" || key === "alternate") found[key] = value === 1;
    else found[key] = value;
  }
  return found;
}

function parsePart(augment: string, text: string): { readonly key: AugmentationPart["key"]; readonly value: number } {
  const [typed = "", given] = text.split(/=(.*)/s);
  const name = typed === "color" ? "colour" : typed;
  if (Object.hasOwn(PRESETS, name)) {
    throw new UsageError(`${option("augment")} ${augment}: "${name}" must come first, before the parts that change it`);
  }
  const part = Object.hasOwn(AUGMENTATION_PARTS, name) ? AUGMENTATION_PARTS[name] : undefined;
  if (!part) {
    throw new UsageError(
      `${option("augment")} ${augment}: "${typed}" is unknown${suggest(typed, [...Object.keys(PRESETS), ...Object.keys(AUGMENTATION_PARTS)])}; ` +
        `use ${Object.keys(PRESETS).join(", ")}, or parts: ${Object.keys(AUGMENTATION_PARTS).join(", ")}`,
    );
  }
  const value = given === undefined ? part.usual : given.trim() === "" ? NaN : Number(given);
  if (!(value >= 0 && value <= part.most) || (part.isWhole && !Number.isInteger(value))) {
    throw new UsageError(`${option("augment")} ${augment}: ${name} must be ${part.values}, not "${given}"`);
  }
  return { key: part.key, value };
}
