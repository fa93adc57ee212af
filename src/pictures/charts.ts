/**
 * Training curves. Each chart is an ECharts option of plain data, so that it can be rendered to SVG here, without a
 * browser, or sent to a page as JSON.
 */
import type { EChartsCoreOption } from "echarts/core";

/** One epoch. Errors are fractions; epochs count from 1, and 0 is a new last layer alone. */
export interface EpochPoint {
  readonly epoch: number;
  readonly train: { readonly loss: number; readonly top1: number };
  readonly val: { readonly loss: number; readonly top1: number; readonly top5: number };
  readonly rate: number;
  readonly imagesPerSecond: number;
}

/** A point within an epoch. Loss and error are over the epoch so far. */
export interface StepPoint {
  /** Epochs completed, including the fraction of the current one. */
  readonly at: number;
  readonly loss: number;
  readonly top1: number;
  readonly imagesPerSecond: number;
}

export interface Curves {
  readonly epochs: readonly EpochPoint[];
  readonly steps: readonly StepPoint[];
  /** Number of classes: top-5 accuracy is not shown for five or fewer. */
  readonly classes: number;
}

export interface Palette {
  readonly ink: string;
  readonly muted: string;
  readonly grid: string;
  readonly ground: string;
  /** Colours of training, validation, and a second validation curve. */
  readonly series: readonly [string, string, string];
}

export const LIGHT: Palette = {
  ink: "#1c1c1d",
  muted: "#6b6b70",
  grid: "#e4e4e8",
  ground: "#fefefe",
  series: ["#2a6fc9", "#b84514", "#7f52a8"],
};
export const DARK: Palette = {
  ink: "#ececee",
  muted: "#a0a0a8",
  grid: "#35353b",
  ground: "#1b1b1f",
  series: ["#6aa5f0", "#f08a55", "#bb94de"],
};

interface Chart {
  readonly name: string;
  readonly option: EChartsCoreOption;
}

type Point = readonly [x: number, y: number];
interface Line {
  readonly name: string;
  readonly colour: string;
  readonly points: readonly Point[];
  /** Thin, without markers. */
  readonly faint?: boolean;
}

/** Points are thinned to about one per pixel. With fewer than MIN_PER_EPOCH, points within epochs are not drawn. */
const MAX_POINTS = 1000;
const MIN_PER_EPOCH = 5;

/** ECharts can't divide an axis that is much shorter. */
const LEAST_RATE = 1e-12;

/** Loss, accuracy, learning rate and throughput over epochs. */
export function chartsOf({ epochs, steps, classes }: Curves, palette: Palette): readonly Chart[] {
  const [train, val, other] = palette.series;
  const over = (value: (point: EpochPoint) => number) => epochs.map((point) => [point.epoch, value(point)] as const);
  const fine = steps.length >= MIN_PER_EPOCH * epochs.length ? thin(steps) : [];
  const within = (value: (point: StepPoint) => number) => fine.map((point) => [point.at, value(point)] as const);
  /** In per cent, of an error. */
  const accuracy = (error: number) => Number((100 * (1 - error)).toPrecision(6));
  const last = Math.max(1, epochs.at(-1)?.epoch ?? 0, Math.ceil(steps.at(-1)?.at ?? 0));
  const chart = (name: string, unit: string, lines: readonly Line[], scale: object = {}): Chart => ({
    name,
    option: optionOf(unit, lines.filter(({ points }) => points.some(([, y]) => Number.isFinite(y))), last, scale, palette), // prettier-ignore
  });
  // Epoch 0, a last layer that was trained alone, has a rate and a speed of its own.
  const whole = epochs.filter(({ epoch }) => epoch > 0);
  const overWhole = (value: (point: EpochPoint) => number) =>
    whole.map((point) => [point.epoch, value(point)] as const);
  const rates = whole.map(({ rate }) => rate);
  // On a linear scale, a rate that falls by factors of ten is soon flat at the bottom.
  const logarithmic = rates.every((rate) => rate > 0) && rates.some((rate, i) => i > 0 && rate < rates[i - 1]! / 5);
  return [
    chart("Loss", "", [
      { name: "within the epoch", colour: train, points: within(({ loss }) => loss), faint: true },
      { name: "training", colour: train, points: over((point) => point.train.loss) },
      { name: "validation", colour: val, points: over((point) => point.val.loss) },
    ]),
    chart("Accuracy", "%", [
      { name: "training", colour: train, points: over((point) => accuracy(point.train.top1)) },
      { name: "validation", colour: val, points: over((point) => accuracy(point.val.top1)) },
      ...(classes > 5
        ? [{ name: "validation, top 5", colour: other, points: over((point) => accuracy(point.val.top5)) }]
        : []),
    ], { max: 100, ...(epochs.length === 0 && { min: 0 }) }), // prettier-ignore
    chart(
      "Learning rate",
      "",
      [{ name: "learning rate", colour: train, points: overWhole(({ rate }) => rate) }],
      logarithmic
        ? { type: "log", min: 10 ** Math.floor(Math.log10(Math.min(...rates))) }
        : { min: 0, ...(Math.max(...rates) < LEAST_RATE && { max: 1 }) },
    ),
    chart("Images a second", "", [
      { name: "within the epoch", colour: train, points: within((point) => point.imagesPerSecond), faint: true },
      { name: "training", colour: train, points: overWhole((point) => point.imagesPerSecond) },
    ], { min: 0 }), // prettier-ignore
  ];
}

function thin<T>(points: readonly T[]): readonly T[] {
  const every = Math.ceil(points.length / MAX_POINTS);
  return points.filter((_, i) => (points.length - 1 - i) % every === 0);
}

function optionOf(unit: string, lines: readonly Line[], last: number, scale: object, palette: Palette) {
  const { ink, muted, grid, ground } = palette;
  const text = { fontFamily: FONT, fontSize: 12, color: muted };
  const axis = { axisLabel: text, nameTextStyle: text, axisTick: { show: false } };
  return {
    animation: false,
    textStyle: text,
    legend: {
      show: lines.length > 1,
      left: 4,
      top: 0,
      itemWidth: 18,
      itemHeight: 7,
      itemGap: 24,
      textStyle: { ...text, color: ink },
    },
    tooltip: {
      trigger: "axis",
      backgroundColor: ground,
      borderColor: grid,
      textStyle: { ...text, color: ink },
    },
    grid: {
      left: 8,
      right: 16,
      top: lines.length > 1 ? 34 : 14,
      bottom: 8,
      outerBoundsMode: "same",
      outerBoundsContain: "axisLabel",
    },
    xAxis: {
      ...axis,
      type: "value",
      min: Math.min(
        lines.some(({ faint }) => faint) || last === 1 ? 0 : 1,
        ...lines.map(({ points }) => points[0]![0]),
      ),
      max: last,
      minInterval: 1,
      splitLine: { show: false },
      axisLine: { lineStyle: { color: muted } },
    },
    yAxis: {
      ...axis,
      type: "value",
      axisLabel: { ...text, ...(unit && { formatter: `{value}${unit}` }) },
      axisLine: { show: false },
      splitLine: { lineStyle: { color: grid } },
      ...scale,
    },
    series: lines.map(({ name, colour, points, faint = false }) => ({
      type: "line",
      name,
      data: points,
      color: colour,
      // A single epoch is only visible as a marker.
      showSymbol: !faint && points.length <= 40,
      symbol: "circle",
      symbolSize: 5,
      itemStyle: { color: colour },
      lineStyle: { width: faint ? 1 : 2, opacity: faint ? 0.45 : 1 },
    })),
  };
}

const FONT = "DejaVu Sans, system-ui, sans-serif";

/**
 * A chart as an SVG element without scripts or style sheets.
 * @param id prefix of the names in it, to make them unique in a page with several charts
 */
export async function chartSvg({ option }: Chart, width: number, height: number, id: string): Promise<string> {
  // On demand: it takes a moment.
  const { init } = await import("./echarts.ts");
  const chart = init(null, null, { renderer: "svg", ssr: true, width, height });
  try {
    const { tooltip: _, ...drawn } = option;
    chart.setOption(drawn);
    return chart
      .renderToSVGString({ useViewBox: true })
      .replace(/<style\b.*?<\/style>/gs, "")
      .replace(/ (?:class|ecmeta_\w+)="[^"]*"/g, "")
      .replace(/\bzr\d+-/g, `${id}-`);
  } finally {
    // Otherwise its timers keep the process alive.
    chart.dispose();
  }
}
