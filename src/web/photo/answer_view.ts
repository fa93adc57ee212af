/** Shows an answer: its classes as bars, what is doubtful, and the class activation map over the image. */
import { POSITIVE, shareOf } from "../../pictures/heat_scale.ts";
import { percent } from "../../words.ts";
import { create, element } from "../elements.ts";
import { show } from "./show.ts";
import type { Answer, ClassMap } from "./messages.ts";

/** Pixels of the map's canvas, which the page stretches. */
const MAP_SIDE = 256;

/** In words: "ants 95.3%, bees 4.7%". */
export function inWords({ classes, unsure, unlike }: Answer): string {
  const doubts = doubtsOf({ unsure, unlike });
  const named = classes.map(({ name, probability }) => `${name} ${percent(probability)}`).join(", ");
  return doubts === "" ? named : `${doubts}: ${named}`;
}

function doubtsOf({ unsure, unlike }: Pick<Answer, "unsure" | "unlike">): string {
  return [unsure && "unsure", unlike && "unlike anything it was trained on"].filter(Boolean).join("; ");
}

/** @param choose called with the class that is chosen; undefined where there are no maps */
export function showClasses(
  { classes, unsure, unlike }: Answer,
  chosen: number | undefined,
  choose?: (label: number) => void,
): void {
  show("doubt", doubtsOf({ unsure, unlike }));
  const list = element("classes");
  classes.forEach(({ label, name, probability }, i) => {
    // Kept from answer to answer, so that bars move and the focus stays.
    const line = lineAt(list, i, choose !== undefined);
    const [words, share, bar] = [...line.children] as [HTMLElement, HTMLElement, HTMLElement];
    [words.textContent, share.textContent] = [name, percent(probability)];
    bar.style.setProperty("--share", percent(probability));
    if (!choose) return;
    line.setAttribute("aria-pressed", String(label === chosen));
    line.onclick = () => choose(label);
  });
  while (list.children.length > classes.length) list.lastElementChild!.remove();
}

function lineAt(list: HTMLElement, i: number, isButton: boolean): HTMLElement {
  const found = list.children[i]?.firstElementChild;
  if (found) return found as HTMLElement;
  const line = create(isButton ? "button" : "div", "class");
  if (line instanceof HTMLButtonElement) line.type = "button";
  const name = create("span");
  name.dir = "auto";
  const bar = create("i");
  bar.ariaHidden = "true";
  line.append(name, create("b"), bar);
  const item = create("li");
  item.append(line);
  list.append(item);
  return line;
}

/** @param size of the image @param seen the share of its shorter side that the network sees */
export function showMap(map: ClassMap | undefined, size = { width: 1, height: 1 }, seen = 1): void {
  const canvas = element<HTMLCanvasElement>("map");
  canvas.hidden = map === undefined;
  element("frame").classList.toggle("mapped", map !== undefined);
  if (!map) return;
  const { side, values } = map;
  const most = values.reduce((a, b) => Math.max(a, b), 0);
  const small = new OffscreenCanvas(side, side);
  const pixels = new ImageData(side, side);
  values.forEach((value, i) => {
    pixels.data.set([...POSITIVE, most === 0 ? 0 : 255 * shareOf(value / most)], 4 * i);
  });
  small.getContext("2d")!.putImageData(pixels, 0, 0);
  [canvas.width, canvas.height] = [MAP_SIDE, MAP_SIDE];
  const context = canvas.getContext("2d")!;
  context.imageSmoothingQuality = "high";
  context.drawImage(small, 0, 0, MAP_SIDE, MAP_SIDE);
  const shorter = seen * Math.min(size.width, size.height);
  canvas.style.width = `${(100 * shorter) / size.width}%`;
  canvas.style.height = `${(100 * shorter) / size.height}%`;
}
