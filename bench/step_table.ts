/** What a training step consists of, by kind of layer: a table of the results of the layers suite. */
import { suitsDepthwise } from "../src/engine/ops/later/depthwise.ts";
import { markdownTable } from "../src/io/markdown.ts";
import { findNetwork } from "../src/net/networks.ts";
import { namedLayers, type NamedLayer } from "./layer_piece.ts";
import { partOf } from "./report.ts";
import type { Results, Row } from "./results.ts";
import { milliseconds, percent } from "./units.ts";

const [CONVOLUTIONS, DEPTHWISE, SUMS, OTHERS] = [
  "convolutions",
  "depthwise convolutions",
  "sums of branches",
  "others",
];

/** Rows of the table, and the kinds of layers in each. */
const KINDS: Readonly<Record<string, readonly string[]>> = {
  "fully connected layers": ["fc"],
  normalisation: ["lrn", "batch-norm", "map-norm"],
  "activation functions": ["relu", "relu6", "gelu", "gelu-tanh", "silu", "hard-swish", "sigmoid", "tanh"],
  pooling: ["max-pool", "average-pool", "global-average-pool"],
  "augmentation, loss, update": ["augment", "loss", "update"],
};
const ORDER = [CONVOLUTIONS, DEPTHWISE, ...Object.keys(KINDS), SUMS, OTHERS];

interface Column {
  readonly title: string;
  /** Shares of the step, by row of the table. */
  readonly shares: ReadonlyMap<string, number>;
  readonly wholeMs: number;
}

/** The median time of a step of each network, and what shares of it its layers take, with a column for each device. */
export function stepTable(files: readonly Results[]): string {
  const columns = files.flatMap(({ rows }) =>
    [...Map.groupBy(rows, ({ device }) => device)].map(([device, own]) => columnOf(device, own)),
  );
  const rows = ORDER.filter((row) => columns.some(({ shares }) => shares.has(row)));
  return markdownTable([
    ["", ...columns.map(({ title }) => title)],
    ["whole step", ...columns.map(({ wholeMs }) => milliseconds(wholeMs))],
    ...rows.map((row) => [
      row,
      ...columns.map(({ shares }) => {
        const share = shares.get(row);
        return share === undefined ? "" : percent(share);
      }),
    ]),
  ]);
}

function columnOf(device: string, rows: readonly Row[]): Column {
  const { network, images } = partOf(rows[0]!);
  const layers = new Map(namedLayers(findNetwork(network)).map((layer) => [layer.label, layer]));
  const shares = new Map<string, number>();
  let wholeMs = 0;
  for (const row of rows) {
    const { part } = partOf(row);
    if (part === "whole step") wholeMs = row.ms.median;
    else {
      const kind = kindOf(part, layers.get(part));
      shares.set(kind, (shares.get(kind) ?? 0) + (row.share ?? 0));
    }
  }
  return { title: `${network}, batch ${images}, ${device}`, shares, wholeMs };
}

/** The row of the table. @param layer undefined for a block, whose branches are added up, and for what is no layer */
function kindOf(part: string, layer: NamedLayer | undefined): string {
  const kind = layer?.layer.kind ?? part;
  if (layer && kind === "conv") return isDepthwise(layer) ? DEPTHWISE : CONVOLUTIONS;
  const found = Object.keys(KINDS).find((row) => KINDS[row]!.includes(kind));
  return found ?? (layer ? OTHERS : SUMS);
}

/** Whether the kernel for it computes the layer. */
function isDepthwise({ input: [c], output: [o], parameters }: NamedLayer): boolean {
  return suitsDepthwise({ c, o, groups: c / parameters[0]!.shape[1]! });
}
