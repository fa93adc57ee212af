/**
 * --augment: a preset, and parts that are added to it or changed, separated by commas.
 *
 *   paper                       modern,mixup=0.4,erase=0
 *   crop,mirror,colour=0.05     paper,mirror=0
 */
import { UsageError } from "../errors.ts";
import { MODERN_AUGMENTATION, NO_AUGMENTATION, PAPER_AUGMENTATION, type Augmentation } from "../net/recipe.ts";
import { suggest } from "../suggest.ts";

const PRESETS: Readonly<Record<string, Augmentation>> = {
  paper: PAPER_AUGMENTATION,
  modern: MODERN_AUGMENTATION,
  none: NO_AUGMENTATION,
};

interface Part {
  readonly key: Exclude<keyof Augmentation, "sharedCrop" | "divideBy">;
  /** Its value when none is said. */
  readonly usual: number;
  /** The largest value; 0 always switches a part off. */
  readonly most: number;
  /** Which values it takes, for people. */
  readonly values: string;
}

/** 0 or 1. */
const SWITCH = { usual: 1, most: 1, values: "0 or 1" };

const PARTS: Readonly<Record<string, Part>> = {
  crop: { key: "crop", ...SWITCH },
  mirror: { key: "mirror", ...SWITCH },
  colour: { key: "colour", usual: 0.1, most: 10, values: "a standard deviation from 0 to 10" },
  "resized-crop": { key: "resizedCrop", usual: 0.08, most: 1, values: "the smallest share of the area, from 0 to 1" },
  jitter: { key: "jitter", usual: 0.4, most: 1, values: "a strength from 0 to 1" },
  erase: { key: "erase", usual: 0.25, most: 1, values: "a probability from 0 to 1" },
  mixup: { key: "mixup", usual: 0.2, most: 100, values: "the α of a Beta distribution, from 0 to 100" },
  cutmix: { key: "cutmix", usual: 1, most: 100, values: "the α of a Beta distribution, from 0 to 100" },
  smooth: { key: "smooth", usual: 0.1, most: 0.9, values: "a share of the label from 0 to 0.9" },
};

/** Whether something read from a file can be an augmentation. */
export function isAugmentation(value: unknown): value is Augmentation {
  const found = (value ?? {}) as Augmentation;
  const { sharedCrop, divideBy } = found;
  return (
    Object.values(PARTS).every(({ key, most, values }) => {
      const strength = found[key];
      return values === SWITCH.values
        ? typeof strength === "boolean"
        : typeof strength === "number" && strength >= 0 && strength <= most;
    }) &&
    Number.isSafeInteger(sharedCrop) &&
    sharedCrop > 0 &&
    Number.isFinite(divideBy) &&
    divideBy > 0
  );
}

/**
 * What --augment asks for; the recipe's where nothing was said. How many images share a crop and what they are divided
 * by, as in the program of 2012, stays the recipe's in any case.
 * @throws UsageError for parts that there are not, and values out of range
 */
export function makeAugmentation(recipe: Augmentation, augment: string | undefined): Augmentation {
  if (augment === undefined) return recipe;
  const [first = "", ...others] = augment.split(",");
  const preset = Object.hasOwn(PRESETS, first) ? PRESETS[first] : undefined;
  const { sharedCrop, divideBy } = recipe;
  const found = { ...NO_AUGMENTATION, ...preset, sharedCrop, divideBy };
  for (const text of preset ? others : [first, ...others]) {
    const { key, value } = parsePart(augment, text);
    if (key === "crop" || key === "mirror") found[key] = value === 1;
    else found[key] = value;
  }
  return found;
}

function parsePart(augment: string, text: string): { readonly key: Part["key"]; readonly value: number } {
  const [typed = "", given] = text.split(/=(.*)/s);
  const name = typed === "color" ? "colour" : typed;
  if (Object.hasOwn(PRESETS, name)) {
    throw new UsageError(`--augment ${augment}: "${name}" must come first, before parts that change it`);
  }
  const part = Object.hasOwn(PARTS, name) ? PARTS[name] : undefined;
  if (!part) {
    throw new UsageError(
      `--augment ${augment}: "${typed}" is unknown${suggest(typed, [...Object.keys(PRESETS), ...Object.keys(PARTS)])}; ` +
        `say ${Object.keys(PRESETS).join(", ")}, or some of ${Object.keys(PARTS).join(", ")}`,
    );
  }
  const value = given === undefined ? part.usual : given.trim() === "" ? NaN : Number(given);
  if (!(value >= 0 && value <= part.most) || (part.values === SWITCH.values && !Number.isInteger(value))) {
    throw new UsageError(`--augment ${augment}: ${name} must be ${part.values}, not "${given}"`);
  }
  return { key: part.key, value };
}
