/**
 * A confusion matrix: one row per true class, one column per predicted class, cells darker the larger their share of the
 * row. Up to fifty classes are named, with numbers where they fit. With more, a class is a few pixels, or several classes
 * share a cell, and the most frequent confusions are listed beside it.
 */
import { count, plural } from "../words.ts";
import { image } from "./raster.ts";
import { document, rectangle, shorten, text, widthOf, type TextStyle } from "./svg.ts";

interface ConfusionPicture {
  readonly title: string;
  readonly classes: readonly string[];
  /** [true class, predicted class, number of images]; each pair at most once. */
  readonly entries: readonly (readonly [label: number, predicted: number, images: number])[];
  /** Whether the most frequent confusions of many classes are left out. */
  readonly withoutList?: boolean;
}

const MARGIN = 32;
const HEAD = 84;
/** The most classes that are drawn with names. */
const NAMED = 50;
const SIDE = 1000;
/** Maximum width of names. */
const NAME = 200;
const LISTED = 24;
const LINE = 34;
const LIST = 460;

const INK = "#1c1c1c";
const GREY = "#6e6e6e";
const TITLE: TextStyle = { size: 22, bold: true, colour: INK };
const FACT: TextStyle = { size: 14, colour: GREY };
const LABEL: TextStyle = { size: 12, colour: INK };
const HEADING: TextStyle = { size: 14, bold: true, colour: INK };

/** From white to blue on the diagonal, and to red for mistakes. */
const BLUE = [31, 95, 153] as const;
const RED = [190, 52, 38] as const;

/** Draws the matrix as SVG. */
export async function drawConfusion(picture: ConfusionPicture): Promise<string> {
  return picture.classes.length <= NAMED ? drawNamed(picture) : drawDense(picture);
}

/** Number of images of each true class. */
function rowSums({ classes, entries }: ConfusionPicture): Float64Array {
  const sums = new Float64Array(classes.length);
  for (const [label, , images] of entries) sums[label]! += images;
  return sums;
}

function colour(share: number, isRight: boolean): readonly number[] {
  // The square root makes rare mistakes visible; the smallest share is still distinct from white.
  const depth = share === 0 ? 0 : 0.06 + 0.94 * Math.sqrt(Math.min(1, share));
  return (isRight ? BLUE : RED).map((value) => Math.round(255 + (value - 255) * depth));
}

function head(title: string, width: number): string[] {
  return [
    text(MARGIN, MARGIN + 18, shorten(title, width - 2 * MARGIN, TITLE, "both"), TITLE),
    text(MARGIN, MARGIN + 42, "rows: true class; columns: predicted class; darkness: share of the row", FACT),
  ];
}

function drawNamed(picture: ConfusionPicture): string {
  const { title, classes, entries } = picture;
  const side = Math.max(18, Math.min(56, Math.floor(SIDE / classes.length)));
  const style = { ...LABEL, size: Math.min(13, side - 5) };
  const names = classes.map((name) => shorten(name, NAME, style));
  const label = Math.ceil(Math.max(...names.map((name) => widthOf(name, style))));
  const [left, top] = [MARGIN + label + 10, HEAD + label + 10];
  // Column names slant to the right and need extra width.
  const width = Math.max(560, left + classes.length * side + Math.ceil(label * 0.75) + MARGIN);
  const parts = head(title, width);
  const sums = rowSums(picture);
  for (const [row, column, images] of entries) {
    const share = images / sums[row]!;
    const [x, y] = [left + column * side, top + row * side];
    const ink = share > 0.3 ? "#ffffff" : INK;
    parts.push(rectangle(x, y, side, side, `rgb(${colour(share, row === column).join(", ")})`));
    const said = count(images);
    const fits = Math.floor((side - 4) / widthOf(said, { size: 1 }));
    if (fits < 8) continue;
    const size = Math.min(13, fits);
    const middle = y + side / 2 + size * 0.36;
    parts.push(text(x + side / 2, middle, said, { size, colour: ink, anchor: "middle" }));
  }
  parts.push(...grid(left, top, classes.length, side));
  names.forEach((name, k) => {
    const middle = k * side + side / 2;
    const [x, y] = [left + middle + style.size * 0.36, top - 8];
    parts.push(text(left - 8, top + middle + style.size * 0.36, name, { ...style, anchor: "end" }));
    parts.push(`<g transform="rotate(-60 ${x} ${y})">${text(x, y, name, style)}</g>`);
  });
  return document(width, top + classes.length * side + MARGIN, parts);
}

function grid(left: number, top: number, classes: number, side: number): string[] {
  const lines: string[] = [];
  for (let k = 0; k <= classes; k++) {
    lines.push(rectangle(left + k * side, top, 1, classes * side + 1, "#e2e2e2"));
    lines.push(rectangle(left, top + k * side, classes * side + 1, 1, "#e2e2e2"));
  }
  return lines;
}

async function drawDense(picture: ConfusionPicture): Promise<string> {
  const { title, classes, entries } = picture;
  /** Classes per cell. */
  const together = Math.ceil(classes.length / SIDE);
  const cells = Math.ceil(classes.length / together);
  const side = Math.max(1, Math.floor(SIDE / cells));
  const sums = rowSums(picture);
  const shares = new Float64Array(cells * cells);
  const used = new Float64Array(cells);
  const right = new Uint8Array(cells * cells);
  sums.forEach((sum, label) => (used[Math.floor(label / together)]! += sum > 0 ? 1 : 0));
  for (const [label, predicted, images] of entries) {
    const [row, column] = [Math.floor(label / together), Math.floor(predicted / together)];
    shares[row * cells + column]! += images / sums[label]! / used[row]!;
    if (label === predicted) right[row * cells + column] = 1;
  }
  const raster = { pixels: new Uint8Array(cells * side * cells * side * 3), width: cells * side, height: cells * side };
  for (let y = 0, to = 0; y < raster.height; y++) {
    for (let x = 0; x < raster.width; x++, to += 3) {
      const cell = Math.floor(y / side) * cells + Math.floor(x / side);
      raster.pixels.set(colour(shares[cell]!, right[cell] === 1), to);
    }
  }
  const listX = MARGIN + raster.width + 32;
  const width = picture.withoutList ? listX : listX + LIST + MARGIN;
  const fact =
    together === 1
      ? plural(classes.length, "class", "classes")
      : `${count(classes.length)} classes, ${together} by ${together} in a cell`;
  const height = HEAD + 20 + Math.max(raster.height, picture.withoutList ? 0 : 40 + LISTED * LINE) + MARGIN;
  return document(width, height, [
    ...head(title, width),
    text(MARGIN, HEAD + 8, `${fact}, in the order of the network's outputs`, FACT),
    rectangle(MARGIN - 1, HEAD + 19, raster.width + 2, raster.height + 2, "#c8c8c8"),
    await image(MARGIN, HEAD + 20, raster),
    ...(picture.withoutList ? [] : drawList(picture, sums, listX, HEAD + 34)),
  ]);
}

/** Lists the most frequent confusions. */
function drawList({ classes, entries }: ConfusionPicture, sums: Float64Array, x: number, y: number): string[] {
  const mistakes = entries.filter(([label, predicted]) => label !== predicted);
  const most = mistakes.toSorted((a, b) => b[2] - a[2]).slice(0, LISTED);
  const parts = [text(x, y, most.length === 0 ? "No confusions" : "Most frequent confusions", HEADING)];
  most.forEach(([label, predicted, images], k) => {
    const top = y + 28 + k * LINE;
    const said = `${count(images)} of ${count(sums[label]!)}`;
    const room = LIST - widthOf(said, LABEL) - 16;
    parts.push(
      text(x, top, shorten(classes[label]!, room, LABEL), LABEL),
      text(x + LIST, top, said, { ...LABEL, colour: GREY, anchor: "end" }),
      text(x + 12, top + 15, shorten(`→ ${classes[predicted]!}`, LIST - 12, LABEL), { ...LABEL, colour: "#a5301f" }),
    );
  });
  return parts;
}
