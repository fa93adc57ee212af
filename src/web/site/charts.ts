/** Training curves in a page: the charts of a run's report, drawn anew as points arrive. */
import { chartsOf, LIGHT, type Curves } from "../../pictures/charts.ts";
import { init } from "../../pictures/echarts.ts";
import { create, element } from "../elements.ts";

const short = (number: number) => String(Number(number.toPrecision(4)));

interface Series {
  readonly name: string;
  readonly color: string;
  readonly lineStyle: { readonly width: number };
  readonly data: readonly (readonly [number, number])[];
}

export class LiveCharts {
  readonly #names: readonly string[];
  readonly #drawn = new Map<string, { legend: HTMLElement; room: HTMLElement; chart: ReturnType<typeof init> }>();

  /** @param id of the element that the charts are put into, in this order */
  constructor(id: string, names: readonly string[]) {
    this.#names = names;
    for (const name of names) {
      const [card, legend, room] = [create("section", "card"), create("ul", "legend"), create("div", "chart")];
      card.append(create("h2", "", name), legend, room);
      room.role = "img";
      element(id).append(card);
      const chart = init(room, null, { renderer: "svg" });
      this.#drawn.set(name, { legend, room, chart });
      new ResizeObserver(() => room.clientWidth > 0 && chart.resize()).observe(room);
    }
    this.show({ epochs: [], steps: [], classes: 2 });
  }

  /** The style sheet exchanges the light colours for dark ones. */
  show(curves: Curves): void {
    for (const { name, option } of chartsOf(curves, LIGHT)) {
      if (!this.#names.includes(name)) continue;
      const { legend, room, chart } = this.#drawn.get(name)!;
      const { legend: _, tooltip: _none, grid, ...rest } = option as Record<string, object>;
      const series = (option as unknown as { series: readonly Series[] }).series;
      // A legend of the page's own wraps where there is little room.
      legend.replaceChildren(...(series.length > 1 ? series.map(legendEntry) : []));
      const latest = series.flatMap(({ name, data }) => (data.length > 0 ? [`${name} ${short(data.at(-1)![1])}`] : []));
      room.ariaLabel = latest.length > 0 ? `${name}: ${latest.join(", ")}` : `${name}: nothing yet`;
      chart.setOption({ ...rest, grid: { ...grid, top: 14 } }, true);
    }
  }
}

function legendEntry({ name, color, lineStyle }: Series): HTMLElement {
  const entry = create("li");
  entry.append(swatch(color, lineStyle.width), name);
  return entry;
}

/** A short line, as an SVG, because the style sheet exchanges the colours of those. */
function swatch(colour: string, width: number): SVGElement {
  const [svg, line] = ["svg", "path"].map((tag) => document.createElementNS("http://www.w3.org/2000/svg", tag));
  svg!.setAttribute("viewBox", "0 0 18 8");
  line!.setAttribute("d", "M0 4H18");
  line!.setAttribute("stroke", colour);
  line!.setAttribute("stroke-width", String(width));
  svg!.append(line!);
  return svg as SVGElement;
}
