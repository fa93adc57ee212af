/** The model of a step as Markdown. */
import type { Network } from "../../src/net/recipe.ts";
import { markdownTable } from "../../src/io/markdown.ts";
import { callsOf } from "./calls.ts";
import { CHANGES, priced, type Priced } from "./changes.ts";
import { costOf } from "./costs.ts";
import { DEVICES, REACHED, type ModelDevice } from "./devices.ts";
import type { Limit } from "./roofs.ts";
import { gainOf, stepMs, timeOf } from "./step.ts";

/** A step as each device would be given it: they split sums differently, and have convolutions computed in other ways. */
interface Modelled {
  readonly device: ModelDevice;
  readonly step: readonly Priced[];
}

export async function modelOf(network: Network, images: number, by: "kernels" | "layers"): Promise<string> {
  const steps: Modelled[] = [];
  for (const device of DEVICES) {
    const msOf = (call: Parameters<typeof costOf>[0]) => timeOf(costOf(call), device).ms;
    steps.push({ device, step: priced(await callsOf(network, images, device, msOf)) });
  }
  return [
    `A training step of \`${network.name}\`, batch ${images}, by the model:`,
    markdownTable(timesTable(steps, images, by)),
    "What it would gain, as a part of the step's time:",
    markdownTable(gainsTable(steps)),
    assumptions(),
  ].join("\n\n");
}

const SHORT: Readonly<Record<Limit, string>> = { arithmetic: "a", memory: "m", launch: "l", host: "h" };

function timesTable(steps: readonly Modelled[], images: number, by: "kernels" | "layers"): string[][] {
  const first = steps[0]!.step;
  const nameOf = ({ call: { kernel, part } }: Priced) =>
    by === "layers" ? `${part}: ${kernel.name}` : labelOf(kernel.name);
  const names = [...new Set(steps.flatMap(({ step }) => step.map(nameOf)))];
  const sum = (items: readonly Priced[], key: "flop" | "bytes") => items.reduce((total, item) => total + item[key], 0);
  const lines = names.map((name) => {
    const own = first.filter((item) => nameOf(item) === name);
    const cells = steps.map(({ device, step }) =>
      cell(
        step.filter((item) => nameOf(item) === name),
        device,
      ),
    );
    return [name, String(own.length), giga(sum(own, "flop")), giga(sum(own, "bytes")), ...cells];
  });
  const totals = steps.map(({ device, step }) => digits(stepMs(step, device)));
  const rates = steps.map(({ device, step }) =>
    Math.round((1000 * images) / stepMs(step, device)).toLocaleString("en-US"),
  );
  return [
    ["ms", "kernels", "GFLOP", "GB", ...steps.map(({ device }) => device.name)],
    ...lines,
    ["**step**", String(first.length), giga(sum(first, "flop")), giga(sum(first, "bytes")), ...totals],
    ["images a second", "", "", "", ...rates],
  ];
}

/** Kernels of one op that differ by the window are one row. */
const labelOf = (name: string) => name.replace(/^winograd_\dx\d_/, "winograd_");

/** The time of several kernels, and the limit of most of it. */
function cell(items: readonly Priced[], device: ModelDevice): string {
  if (items.length === 0) return "";
  const times = items.map((item) => timeOf(item, device));
  const ms = new Map<Limit, number>();
  for (const time of times) ms.set(time.limit, (ms.get(time.limit) ?? 0) + time.ms);
  const [limit] = [...ms].toSorted(([, a], [, b]) => b - a)[0]!;
  return `${digits(times.reduce((sum, time) => sum + time.ms, 0))} ${SHORT[limit]}`;
}

function gainsTable(steps: readonly Modelled[]): string[][] {
  const lines = CHANGES.map((change) => [
    change.name,
    ...steps.map(({ device, step }) => percent(gainOf(change, step, device))),
  ]);
  return [["", ...steps.map(({ device }) => device.name)], ...lines];
}

function assumptions(): string {
  const { arithmetic, memory } = REACHED;
  const [discrete, integrated] = [Math.min, Math.max].map((of) =>
    of(...DEVICES.map(({ launchMs }) => 1000 * launchMs)),
  );
  const sources = DEVICES.map(({ name, source }) => `- ${name}: ${source}`);
  return [
    `A model, not a measurement. Each kernel takes ${discrete} µs to launch (${integrated} µs on M4 and Iris Xe; assumed), and ` +
      `then the longer of its arithmetic (a) at ${percent(arithmetic)} of the device's rate and its traffic (m) at ` +
      `${percent(memory)} of the bandwidth, each byte moved once; l: the launch takes longer than either. Of two ways to ` +
      `compute the same, each device is given the one that takes it less time; the numbers of kernels, GFLOP and GB are ` +
      `those of the ${DEVICES[0]!.name}. The rates:`,
    sources.join("\n"),
  ].join("\n\n");
}

const percent = (share: number) => `${(100 * share).toFixed(Math.abs(share) < 0.0995 ? 1 : 0)}%`;
const giga = (value: number) => (value < 5e6 ? "0" : digits(value / 1e9));

function digits(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}
