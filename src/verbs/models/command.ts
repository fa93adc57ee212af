import { bold, columns, count, fittingTable, print, printJson } from "../../cli/terminal.ts";
import { verb } from "../../cli/verb.ts";
import { size } from "../../engine/tensor.ts";
import { leaves, place, type PlacedLayer } from "../../net/model.ts";
import { openNetwork } from "../../net/network_file.ts";
import { networks } from "../../net/networks.ts";
import type { Network } from "../../net/recipe.ts";
import { number, text } from "../../schema.ts";

export default verb({
  description: "List the networks, or print one layer by layer",
  options: {
    name: text("A network, or a .ts or .json file that defines one", { place: "word" }),
    classes: number("Number of classes (the network's own)", { hint: "N" }),
  },
  prints: () => true,
  async run({ name, classes }, { json = false }) {
    if (name === undefined) list(json, classes);
    else show(await openNetwork(name), json, classes);
  },
});

interface Totals {
  readonly parameters: number;
  readonly multiplyAdds: number;
}

function parametersOf(placed: PlacedLayer): number {
  const all = leaves([placed]).flatMap(({ parameters }) => parameters);
  return all.reduce((sum, { shape }) => sum + size(shape), 0);
}

function totalsOf(layers: readonly PlacedLayer[]): Totals {
  return {
    parameters: layers.reduce((sum, layer) => sum + parametersOf(layer), 0),
    multiplyAdds: layers.reduce((sum, { multiplyAdds }) => sum + multiplyAdds, 0),
  };
}

/** A layer and the branch that it is in, such as "block1.body"; "" for the network itself. */
interface Listed {
  readonly placed: PlacedLayer;
  readonly within: string;
  readonly depth: number;
}

/** All layers, with those of a block after the block. */
function listed(layers: readonly PlacedLayer[], within = "", depth = 0): Listed[] {
  return layers.flatMap((placed) => {
    const { layer, branches } = placed;
    const names = "branches" in layer ? Object.keys(layer.branches) : [];
    const inside = branches.flatMap((row, i) => listed(row, `${layer.name}.${names[i]}`, depth + 1));
    return [{ placed, within, depth }, ...inside];
  });
}

function list(json: boolean, classes: number | undefined): void {
  const rows = networks.map((network) => ({ network, ...totalsOf(place(network, classes)) }));
  if (json) {
    for (const { network, ...totals } of rows) {
      printJson({
        name: network.name,
        about: network.about,
        input: network.crop,
        classes: classes ?? network.classes,
        ...totals,
      });
    }
    return;
  }
  const head = ["model", "input", "parameters", "multiply-adds"];
  const body = rows.map(({ network, parameters, multiplyAdds }) => [
    network.name,
    `${network.crop}×${network.crop}`,
    count(parameters),
    millions(multiplyAdds),
  ]);
  const abouts = rows.map(({ network }) => network.about);
  print(beside(fittingTable([head, ...body], [1, 2, 3], [3, 1]), abouts, columns()));
}

/** @returns the table with a text behind each row but the first, or below it where `columns` are too few */
function beside(table: string, texts: readonly string[], columns: number): string {
  const [head, ...rows] = table.split("\n");
  const wide = rows.map((row, i) => `${row}  ${texts[i]!}`);
  if (wide.every((line) => Bun.stringWidth(line) <= columns)) return [head, ...wide].join("\n");
  const wrapped = texts.map((text) => Bun.wrapAnsi(text, columns - 2).replaceAll(/^/gm, "  "));
  return [head, ...rows.map((row, i) => `${row}\n${wrapped[i]!}`)].join("\n");
}

function show(network: Network, json: boolean, classes = network.classes): void {
  const layers = place(network, classes);
  const totals = totalsOf(layers);
  if (json) {
    for (const { placed, within } of listed(layers)) {
      const { layer, input, output, multiplyAdds } = placed;
      printJson({
        kind: layer.kind,
        name: layer.name,
        ...(within !== "" && { within }),
        settings: layer.settings,
        input,
        output,
        parameters: parametersOf(placed),
        multiplyAdds,
      });
    }
    printJson({ network: network.name, classes, ...totals });
    return;
  }
  print(`${bold(network.name)}: ${network.about}`);
  const head = ["layer", "", "settings", "output", "parameters", "multiply-adds"];
  const first = ["", "input", "", shape([3, network.crop, network.crop]), "", ""];
  const body = listed(layers).map(({ placed, depth }) => [
    "  ".repeat(depth) + placed.layer.name,
    placed.layer.kind,
    placed.layer.settings,
    shape(placed.output),
    count(parametersOf(placed)).replace(/^0$/, ""),
    placed.multiplyAdds === 0 ? "" : millions(placed.multiplyAdds),
  ]);
  const last = ["", "total", "", "", count(totals.parameters), millions(totals.multiplyAdds)];
  print(fittingTable([head, first, ...body, last], [3, 4, 5], [5, 2, 3]));
}

function shape(sides: readonly number[]): string {
  return sides.join("×");
}

function millions(n: number): string {
  return `${(n / 1e6).toFixed(1)} M`;
}
