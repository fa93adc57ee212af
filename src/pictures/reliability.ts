/**
 * Reliability diagrams (DeGroot and Fienberg 1983): of the images whose most probable class has about the same
 * probability, how many are right. If the probabilities can be trusted, each bar ends on the diagonal.
 */
import { count } from "../words.ts";
import { LIGHT } from "./charts.ts";
import { rectangle, text, type TextStyle } from "./svg.ts";

interface ReliabilityBar {
  /** Number of images. */
  readonly images: number;
  /** The share that is right, and its 95% confidence interval. */
  readonly right: number;
  readonly interval: readonly [low: number, high: number];
  /** The mean probability of the most probable class. */
  readonly confidence: number;
}

/** How many bars have room side by side; probabilities are divided evenly among them. */
const BARS = 15;
const BAR = 22;
const SIDE = BARS * BAR;
const [LEFT, TOP, RIGHT, BOTTOM] = [44, 10, 24, 56];

const { ink, muted, grid, series } = LIGHT;
const [BLUE, ORANGE] = series;
const AXIS: TextStyle = { size: 12, colour: muted };
const IMAGES: TextStyle = { size: 9, colour: muted, anchor: "middle" };

/** An SVG element in the colours of light pages, to be placed into one. */
export function reliabilitySvg(bars: readonly ReliabilityBar[]): string {
  const x = (share: number) => LEFT + share * SIDE;
  const y = (share: number) => TOP + (1 - share) * SIDE;
  const parts = [0, 0.25, 0.5, 0.75, 1].flatMap((share) => [
    line([x(0), y(share)], [x(1), y(share)], grid, 1),
    text(LEFT - 6, y(share) + 4, `${100 * share}%`, { ...AXIS, anchor: "end" }),
    text(x(share), y(0) + 32, `${100 * share}%`, { ...AXIS, anchor: "middle" }),
  ]);
  for (const { images, right, interval, confidence } of bars) {
    const left = x(Math.min(BARS - 1, Math.floor(confidence * BARS)) / BARS);
    const middle = left + BAR / 2;
    parts.push(
      rectangle(left + 2, y(right), BAR - 4, Math.max(1, y(0) - y(right)), BLUE),
      line([left + 2, y(confidence)], [left + BAR - 2, y(confidence)], ORANGE, 3),
      line([middle, y(interval[0])], [middle, y(interval[1])], ink, 1),
      text(middle, y(0) + 14, count(images), IMAGES),
    );
  }
  parts.push(
    line([x(0), y(0)], [x(1), y(1)], muted, 1, ' stroke-dasharray="4 4"'),
    text(x(0.5), y(0) + 50, "probability of the answer", { ...AXIS, anchor: "middle" }),
  );
  const [width, height] = [LEFT + SIDE + RIGHT, TOP + SIDE + BOTTOM];
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}">\n${parts.join("\n")}\n</svg>`;
}

type Point = readonly [x: number, y: number];

function line([x1, y1]: Point, [x2, y2]: Point, colour: string, width: number, more = ""): string {
  return `<line x1="${x1}" y1="${y1}" x2="${x2}" y2="${y2}" stroke="${colour}" stroke-width="${width}"${more}/>`;
}
