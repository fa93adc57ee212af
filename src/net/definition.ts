/**
 * Networks as JSON, and back. Checkpoints and runs carry it, so that they are complete even where this program has no
 * network of that name. It may come from a stranger: it is only data, and nothing in it is run.
 */
import { openCounting } from "../engine/counting.ts";
import { openReference } from "../engine/reference.ts";
import { Tape } from "../engine/tape.ts";
import { checkedSize, size } from "../engine/tensor.ts";
import { AlexNetError, oneLine, ShapeError, UsageError } from "../errors.ts";
import { show } from "../options.ts";
import { isRecord, numberThat, rule, TEXT, type Rule, type RulesOf } from "../rules.ts";
import { suggest } from "../suggest.ts";
import { checkGroups } from "./later/groups.ts";
import { specsOf } from "./layer_names.ts";
import { flatten, type Layer } from "./layer.ts";
import { kinds } from "./layers/index.ts";
import { leaves, Model, place, titleOf, type PlacedLayer } from "./model.ts";
import { findNetwork, networks } from "./networks.ts";
import { NO_AUGMENTATION, RESIZE_FILTERS, type Network, type Recipe, type ResizeFilter } from "./recipe.ts";
import { RECIPE_RULES } from "./recipe_rules.ts";

/** Stands for the number of classes where outputs or filters are counted. */
const CLASSES = "classes";

/** A layer: its kind, name and options; of a block, its branches too, as lists. */
export interface LayerJson {
  readonly kind: string;
  readonly [setting: string]: string | number | boolean | readonly LayerJson[];
}

export interface NetworkJson extends Omit<Network, "layers"> {
  readonly layers: readonly LayerJson[];
}

/** A network as a person writes it; `complete` fills in what is left out. */
export type NetworkDraft = Pick<Network, "crop" | "layers"> &
  Partial<Omit<Network, "recipe">> & { readonly recipe?: RecipeDraft };
export type RecipeDraft = Partial<Omit<Recipe, "augmentation">> & {
  readonly augmentation?: Partial<Recipe["augmentation"]>;
};

/** @throws UsageError when the network has layers that this program doesn't know, or is not valid */
export function networkToJson(network: Network): NetworkJson {
  const { name, about, crop, record, resize, classes, recipe } = network;
  const [few, more] = layersFor(network, classes);
  const layers = withClasses(few, more, classes, name) as LayerJson[];
  const json = { name, about, crop, record, ...(resize && { resize }), classes, recipe, layers };
  networkFromJson(json, name);
  return json;
}

/** The layers for `classes` classes, and for one more. */
function layersFor(network: Network, classes: number): readonly [few: LayerJson[], more: LayerJson[]] {
  const of = (classes: number) => flatten(network.layers(classes)).map(layerToJson);
  return [of(classes), of(classes + 1)];
}

function layerToJson(layer: Layer): LayerJson {
  const { kind, name, options } = layer;
  if (!Object.hasOwn(kinds, kind)) {
    throw new UsageError(`${titleOf(layer)} is not a layer of this program: build networks from those in \`layers\``);
  }
  const branches = "branches" in layer ? layer.branches : {};
  return {
    kind,
    ...(name !== "" && { name }),
    ...Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)),
    ...Object.fromEntries(Object.entries(branches).map(([branch, row]) => [branch, row.map(layerToJson)])),
  };
}

/** The layers for `classes` classes, with `CLASSES` wherever those for one more class differ. */
function withClasses(few: unknown, more: unknown, classes: number, where: string): unknown {
  if (few === classes && more === classes + 1) return CLASSES;
  if (Array.isArray(few) && Array.isArray(more) && few.length === more.length) {
    return few.map((each, i) => withClasses(each, more[i], classes, where));
  }
  if (isRecord(few) && isRecord(more) && Object.keys(few).join() === Object.keys(more).join()) {
    return Object.fromEntries(
      Object.entries(few).map(([key, each]) => [key, withClasses(each, more[key], classes, where)]),
    );
  }
  if (few === more) return few;
  throw new UsageError(
    `${where}: its layers depend on the number of classes in a way that JSON can't express, ` +
      `${oneLine(show(few))} for ${classes} classes and ${oneLine(show(more))} for ${classes + 1}: ` +
      `only numbers that equal it may change with it`,
  );
}

/** What a weights file says about its network: the name and, if the network can be written as JSON, its definition. */
export function networkMetadata(network: Network): Readonly<Record<string, string>> {
  const { name } = network;
  return { network: name, ...(isKnown(network) && { definition: JSON.stringify(networkToJson(network)) }) };
}

/** Whether all of its layers are this program's. */
function isKnown(network: Network): boolean {
  return leaves(place(network)).every(({ layer }) => Object.hasOwn(kinds, layer.kind));
}

/**
 * The network of a weights file. Files of earlier versions have only its name.
 * @throws UsageError for a name this program doesn't know, or an invalid definition
 */
export function networkIn(metadata: Readonly<Record<string, string>>, where: string): Network {
  const { network: name = "", definition } = metadata;
  if (definition === undefined) return findNetwork(name);
  const network = networkFromJson(parse(definition, where), where);
  const own = networks.find((candidate) => candidate.name === name);
  if (own && isSame(own, network)) return own;
  if (network.name === name) return network;
  throw new UsageError(`${where}: the weights are of ${show(oneLine(name))}, the network is ${network.name}`);
}

/** Whether two networks compute the same; their recipes and descriptions may differ. */
export function isSame(a: Network, b: Network): boolean {
  // Not by `networkToJson`: it also checks what it made, which takes several times as long.
  const computed = (network: Network) => {
    const { crop, record, resize } = network;
    return JSON.stringify({ crop, record, resize, layers: layersFor(network, a.classes) });
  };
  return computed(a) === computed(b);
}

function parse(text: string, where: string): unknown {
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new UsageError(`${where}: not JSON`, { cause: error });
  }
}

/** Images of this side take 50 MB each: a stranger's file must not ask for more. */
const MAX_SIDE = 4096;
const MAX_LAYERS = 10_000;
const MAX_DEPTH = 16;
/** The name becomes part of a folder's name. */
const NAME = /^\w[\w.-]{0,63}$/;

const RULES: RulesOf<Omit<NetworkJson, "recipe" | "layers">> = {
  name: rule(
    (value) => typeof value === "string" && NAME.test(value),
    "up to 64 letters, digits, _ . or -, starting with a letter, digit or _",
  ),
  about: TEXT,
  crop: numberThat(
    (value) => Number.isInteger(value) && value > 0 && value <= MAX_SIDE,
    `a whole number up to ${MAX_SIDE}`,
  ),
  record: numberThat(
    (value) => Number.isInteger(value) && value > 0 && value <= MAX_SIDE,
    `a whole number up to ${MAX_SIDE}`,
  ),
  resize: rule(
    (value) => value === undefined || RESIZE_FILTERS.includes(value as ResizeFilter),
    RESIZE_FILTERS.join(" or "),
  ),
  classes: numberThat((value) => Number.isInteger(value) && value >= 2, "a whole number from 2 on"),
};

/**
 * The network that JSON defines.
 * @param where the definition's origin, for error messages
 * @throws UsageError that says which layer is wrong, and why
 */
export function networkFromJson(json: unknown, where: string): Network {
  const at = where === "" ? "" : `${where}: `;
  if (!isRecord(json)) throw new UsageError(`${at}${oneLine(show(json))}: must be a network, an object with layers`);
  const { layers } = json;
  checkFields(at, "", json, RULES, [...Object.keys(RULES), "recipe", "layers"]);
  const { name, about, crop, record, resize, classes } = json as unknown as NetworkJson;
  if (crop > record) throw new UsageError(`${at}crop ${crop}: must be at most record, ${record}`);
  if (!isRecord(json.recipe)) throw new UsageError(`${at}recipe ${oneLine(show(json.recipe))}: must be an object`);
  const { augmentation } = json.recipe;
  // Definitions of earlier versions lack the parts that came later.
  const whole = isRecord(augmentation) ? { ...NO_AUGMENTATION, ...augmentation } : augmentation;
  const recipe = { ...json.recipe, augmentation: whole };
  checkFields(at, "recipe: ", recipe, RECIPE_RULES, Object.keys(RECIPE_RULES));
  if (!Array.isArray(layers) || layers.length === 0)
    throw new UsageError(`${at}layers: must be a list of at least one layer`);
  const network: Network = {
    ...{ name, about, crop, record, ...(resize && { resize }), classes },
    recipe: recipe as unknown as Recipe,
    layers: (classes) => readLayers(layers, where, classes),
  };
  checkPlaced(place(network, classes, where), classes, at);
  checkGroups(`${at}recipe: groups`, network.recipe.groups ?? [], name, specsOf(network));
  return network;
}

function checkFields<T>(
  at: string,
  part: string,
  json: Readonly<Record<string, unknown>>,
  rules: RulesOf<T>,
  known: readonly string[],
): void {
  const unknown = Object.keys(json).find((key) => !known.includes(key));
  if (unknown !== undefined) {
    throw new UsageError(
      `${at}${part}there is no field "${oneLine(unknown)}"${suggest(unknown, known)}; there are ${known.join(", ")}`,
    );
  }
  for (const [key, problemOf] of Object.entries<Rule>(rules)) {
    const problem = problemOf(json[key]);
    if (problem === undefined) continue;
    throw new UsageError(`${at}${part}${key}${json[key] === undefined ? " is missing" : problem}`);
  }
}

function readLayers(list: readonly unknown[], where: string, classes: number, depth = 0): Layer[] {
  if (list.length > MAX_LAYERS)
    throw new UsageError(`${where}: ${list.length} layers, more than the ${MAX_LAYERS} allowed`);
  if (depth > MAX_DEPTH) throw new UsageError(`${where}: blocks are nested more than ${MAX_DEPTH} deep`);
  return list.map((json, i) => readLayer(json, `${where}: layer ${i + 1}`.replace(/^: /, ""), classes, depth));
}

function readLayer(json: unknown, where: string, classes: number, depth: number): Layer {
  if (!isRecord(json)) {
    throw new UsageError(`${where}: ${oneLine(show(json))}: must be a layer, such as {"kind": "relu"}`);
  }
  const { kind, ...settings } = json;
  const make = typeof kind === "string" && Object.hasOwn(kinds, kind) ? kinds[kind] : undefined;
  if (!make) {
    const names = Object.keys(kinds);
    const near = typeof kind === "string" ? suggest(kind, names) : "";
    throw new UsageError(
      `${where}: there is no kind of layer ${oneLine(show(kind))}${near}; there are ${names.join(", ")}`,
    );
  }
  const made = Object.entries(settings).map(([key, value]) => {
    if (Array.isArray(value)) return [key, readLayers(value, `${where}, ${key}`, classes, depth + 1)];
    return [key, value === CLASSES && key !== "name" ? classes : value];
  });
  const layer = makeLayer(make as Make, Object.fromEntries(made), where);
  const known = ["name", ...Object.keys(layer.options), ...("branches" in layer ? Object.keys(layer.branches) : [])];
  const unknown = Object.keys(settings).find((key) => !known.includes(key));
  if (unknown === undefined) return layer;
  throw new UsageError(
    `${where}, ${titleOf(layer)}: there is no option "${oneLine(unknown)}"${suggest(unknown, known)}`,
  );
}

type Make = (made: Readonly<Record<string, unknown>>) => Layer;

function makeLayer(make: Make, made: Readonly<Record<string, unknown>>, where: string): Layer {
  try {
    return make(made);
  } catch (error) {
    if (!(error instanceof AlexNetError)) throw error;
    throw new UsageError(`${where}: ${oneLine(error.message)}`, { cause: error });
  }
}

/** What checkpoints call their other tensors. */
const RESERVED = /^(velocity|optimizer|preprocessing|calibration)\./;

/** @throws UsageError for invalid shapes, names that are reserved or used twice, and unless there is an output per class */
function checkPlaced(layers: readonly PlacedLayer[], classes: number, at: string): void {
  const names = new Set<string>();
  for (const { layer, parameters, state } of leaves(layers)) {
    for (const { name, shape } of [...parameters, ...state]) {
      try {
        checkedSize(name, shape);
      } catch (error) {
        throw new UsageError(`${at}${titleOf(layer)}: ${(error as Error).message}`, { cause: error });
      }
      if (RESERVED.test(name)) throw new UsageError(`${at}${titleOf(layer)}: a checkpoint keeps ${name} for itself`);
      if (names.has(name)) throw new UsageError(`${at}two layers have a ${name}: give each layer its own name`);
      names.add(name);
    }
  }
  const last = layers.at(-1)!.output;
  if (names.size === 0) throw new UsageError(`${at}none of its layers has parameters to learn`);
  if (size(last) === classes) return;
  throw new UsageError(`${at}its output is ${last.join("×")}: must have one number for each of the ${classes} classes`);
}

/**
 * Fills in what a draft leaves out: records of the size of the crops; two classes, for which the learning rate then
 * holds (a training has its data's); and a recipe of 30 epochs with momentum, weight decay and a cosine schedule.
 */
function complete(draft: NetworkDraft, name: string): Network {
  const { augmentation, ...recipe } = draft.recipe ?? {};
  const crops = draft.record !== undefined && draft.record > draft.crop;
  return {
    ...{ name, about: "", record: draft.crop, classes: 2 },
    ...draft,
    recipe: {
      ...{ batch: 64, epochs: 30, schedule: { kind: "cosine", rate: 0.01 }, momentum: 0.9, decay: 0.0005 },
      ...{ biasRate: 1, biasDecay: true },
      ...recipe,
      augmentation: { ...NO_AUGMENTATION, ...(augmentation ?? { crop: crops, mirror: true }) },
    },
  };
}

/**
 * Makes a user's own network from a draft.
 * @param draft its layers, as a function or as in JSON, the side of its images, and what differs from the defaults
 * @param where the draft's origin, for error messages
 * @throws UsageError that says which layer is wrong, and why
 */
export function defineNetwork(draft: NetworkDraft | Partial<NetworkJson>, name = "network", where = name): Network {
  if (!isRecord(draft)) throw new UsageError(`${where}: ${show(draft)}: must be a network: an object with layers`);
  return tryDefine(where, () => {
    const whole = complete(draft as NetworkDraft, name);
    const json = typeof whole.layers === "function" ? networkToJson(whole) : whole;
    const network = networkFromJson(json, where);
    dryRun(network);
    return network;
  });
}

function tryDefine(where: string, work: () => Network): Network {
  try {
    return work();
  } catch (error) {
    if (!(error instanceof UsageError || error instanceof ShapeError)) throw error;
    const message = error.message.startsWith(where) ? error.message : `${where}: ${error.message}`;
    throw new UsageError(message, { cause: error });
  }
}

/** Runs a forward pass without arithmetic, for the ops' checks of shapes. @throws ShapeError */
function dryRun(network: Network): void {
  const backend = openCounting(openReference());
  const model = new Model(network, backend);
  const tape = new Tape(backend);
  model.forward(tape.allocate([3, network.crop, network.crop, 1]));
  tape.release();
}
