import { expect, setDefaultTimeout, test } from "bun:test";
import { chartsOf, chartSvg, DARK, LIGHT, type Curves, type EpochPoint } from "../../src/pictures/charts.ts";

setDefaultTimeout(60_000);

const epoch = (number: number, rate: number): EpochPoint => ({
  epoch: number,
  train: { loss: 2 / number, top1: 0.8 / number },
  val: { loss: 3 / number, top1: 0.9 / number, top5: 0.3 / number },
  rate,
  imagesPerSecond: 100 * number,
});
const curves: Curves = { epochs: [1, 2, 3].map((number) => epoch(number, 0.01)), steps: [], classes: 10 };
const named = (all: Curves, name: string) => chartsOf(all, LIGHT).find((chart) => chart.name === name)!.option as any;
const linesOf = (all: Curves, name: string) =>
  Object.fromEntries(named(all, name).series.map((line: any) => [line.name, line.data]));

test("curves are what was logged, accuracy in per cent", () => {
  expect(linesOf(curves, "Loss")).toEqual({ training: [[1, 2], [2, 1], [3, 2 / 3]], validation: [[1, 3], [2, 1.5], [3, 1]] }); // prettier-ignore
  expect(linesOf(curves, "Accuracy")).toEqual({
    training: [[1, 20], [2, 60], [3, 73.3333]],
    validation: [[1, 10], [2, 55], [3, 70]],
    "validation, top 5": [[1, 70], [2, 85], [3, 90]],
  }); // prettier-ignore
  expect(linesOf(curves, "Images a second")).toEqual({ training: [[1, 100], [2, 200], [3, 300]] }); // prettier-ignore
});

test("of five classes or fewer no top-5 accuracy is shown", () => {
  expect(Object.keys(linesOf({ ...curves, classes: 5 }, "Accuracy"))).toEqual(["training", "validation"]);
});

test("a rate that falls by tens has a logarithmic scale, one that glides has not", () => {
  const rates = (...all: number[]) => ({ ...curves, epochs: all.map((rate, i) => epoch(i + 1, rate)) });
  expect(named(rates(0.01, 0.01, 0.001), "Learning rate").yAxis).toMatchObject({ type: "log", min: 0.001 });
  expect(named(rates(0.01, 0.005, 0.002), "Learning rate").yAxis).toMatchObject({ type: "value", min: 0 });
  expect(named(rates(0.01, 0), "Learning rate").yAxis).toMatchObject({ type: "value", min: 0 });
});

test("steps are a line where there are some in an epoch; the last stays however many there are", () => {
  const steps = (count: number) =>
    Array.from({ length: count }, (_, i) => ({ at: (3 * (i + 1)) / count, loss: i, top1: 0, imagesPerSecond: 1 }));
  expect(linesOf({ ...curves, steps: steps(14) }, "Loss")["within the epoch"]).toBeUndefined();
  expect(linesOf({ ...curves, steps: steps(15) }, "Loss")["within the epoch"]).toHaveLength(15);
  const many = linesOf({ ...curves, steps: steps(5001) }, "Loss")["within the epoch"];
  expect(many.length).toBeWithin(500, 1001);
  expect(many.at(-1)).toEqual([3, 5000]);
  expect(linesOf({ epochs: [], steps: steps(2), classes: 10 }, "Loss")["within the epoch"]).toHaveLength(2);
});

test("the axis begins with epoch 0, if a new last layer was trained before the first", () => {
  expect(named(curves, "Accuracy").xAxis.min).toBe(1);
  expect(named({ ...curves, epochs: [0, 1, 2].map((number) => epoch(number, 0.01)) }, "Accuracy").xAxis.min).toBe(0);
});

test("an SVG that can stand in a page: no script, no style, names of its own, colours to be exchanged", async () => {
  const svgs = await Promise.all(chartsOf(curves, LIGHT).map((chart, i) => chartSvg(chart, 300, 200, `c${i}`)));
  for (const [i, svg] of svgs.entries()) {
    expect(svg).toStartWith('<svg width="300" height="200"');
    expect(svg).not.toMatch(/<script|<style|class=|onload|\bzr\d/);
    const ids = [...svg.matchAll(/ id="([^"]*)"/g)].map(([, id]) => id!);
    expect(ids.length).toBeGreaterThan(0);
    expect(ids.filter((id) => !id.startsWith(`c${i}-`))).toEqual([]);
    expect(svg).toContain(`stroke="${LIGHT.series[0]}"`);
  }
  expect(svgs[0]).toContain(">validation</text>");
  const [dark] = chartsOf(curves, DARK);
  expect(await chartSvg(dark!, 300, 200, "d")).toContain(`stroke="${DARK.series[0]}"`);
});

test("a run of one epoch, and one of none", async () => {
  for (const epochs of [curves.epochs.slice(0, 1), []]) {
    for (const chart of chartsOf({ ...curves, epochs }, LIGHT))
      expect(await chartSvg(chart, 300, 200, "x")).toContain("<svg");
  }
});
