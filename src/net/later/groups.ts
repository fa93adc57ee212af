/** Groups of parameters that learn at another rate or decay than the rest, chosen by name or role. */
import { oneLine, UsageError } from "../../errors.ts";
import { option } from "../../option_names.ts";
import { show } from "../../options.ts";
import { FROM_ZERO, isRecord } from "../../rules.ts";
import { suggest } from "../../suggest.ts";
import type { ParameterSpec } from "../layer.ts";
import { matches, specsOf } from "../layer_names.ts";
import { layerOf } from "../model.ts";
import type { Network, ParameterGroup } from "../recipe.ts";

const ROLES: Readonly<Record<string, ParameterSpec["role"]>> = { weights: "weight", biases: "bias", scales: "scale" };

/** A longer list would slow down every step. */
const MAX_GROUPS = 1000;

/** A rule for what may be a stranger's. */
export function groupsProblem(value: unknown): string | undefined {
  if (!Array.isArray(value) || value.length > MAX_GROUPS) {
    return ` ${oneLine(show(value))}: must be a list of up to ${MAX_GROUPS} groups, as in [{"of": "biases", "decay": 0}]`;
  }
  for (const [i, group] of value.entries()) {
    const known = ["of", "rate", "decay"];
    const { of, rate, decay } = isRecord(group) ? group : {};
    const isKnown = Object.keys(group ?? {}).every((key) => known.includes(key));
    const isFactor = (factor: unknown) => factor === undefined || FROM_ZERO(factor) === undefined;
    if (isKnown && typeof of === "string" && isFactor(rate) && isFactor(decay) && (rate ?? decay) !== undefined)
      continue;
    return `: number ${i + 1} is ${oneLine(JSON.stringify(group))}: must have "of", and "rate" or "decay" of at least 0`;
  }
  return undefined;
}

/** A parameter's multiple of the rate or of the decay: that of the last group that it is in and that has one. */
export function factorOf(
  key: "rate" | "decay",
  groups: readonly ParameterGroup[],
  spec: Pick<ParameterSpec, "name" | "role">,
): number {
  const isIn = ({ of }: ParameterGroup) => of.split(",").some((word) => chooses(word, spec));
  return groups.findLast((group) => group[key] !== undefined && isIn(group))?.[key] ?? 1;
}

/**
 * @param where what the groups belong to, for the message
 * @throws UsageError unless each name in a group is that of a layer or parameter
 */
export function checkGroups(
  where: string,
  groups: readonly ParameterGroup[],
  network: string,
  specs: readonly Pick<ParameterSpec, "name" | "role">[],
): void {
  for (const word of groups.flatMap(({ of }) => of.split(","))) {
    if (specs.some((spec) => chooses(word, spec))) continue;
    const layers = [...new Set(specs.map(({ name }) => layerOf(name)))];
    const names = [...Object.keys(ROLES), ...layers];
    throw new UsageError(
      `${where}: ${network} has no parameters "${oneLine(word)}"${suggest(
        word,
        names.filter((name) => name !== word),
      )}; there are those of ${layers.join(", ")}`,
    );
  }
}

function chooses(word: string, { name, role }: Pick<ParameterSpec, "name" | "role">): boolean {
  const pattern = word.trim();
  return Object.hasOwn(ROLES, pattern)
    ? ROLES[pattern] === role
    : [name, layerOf(name)].some((each) => matches(each, pattern));
}

/**
 * Groups with multiples of the learning rate or the weight decay, as in "conv*=0.1,fc8=10,biases=2".
 * @throws UsageError for one that is not a number ≥ 0, or a pattern that matches no parameters
 */
export function groupsNamed(setting: "rate" | "decay", text: string, network: Network): readonly ParameterGroup[] {
  const where = `${option(`${setting}s`)} ${text}`;
  const groups = text.split(",").map((part) => {
    const [of = "", value = ""] = part.split("=");
    const factor = value.trim() === "" ? NaN : Number(value);
    if (factor >= 0 && factor < Infinity) return { of, [setting]: factor };
    throw new UsageError(`${where}: "${part}" must be a layer and a number of at least 0, as in fc8=10`);
  });
  checkGroups(where, groups, network.name, specsOf(network));
  return groups;
}
