/** The little that the site's pages do with elements beside finding and making them. */
import { create, element } from "../elements.ts";

/** Sets a text, unless it is already there: a screen reader would read it again. */
export function show(id: string, words: string): void {
  const target = element(id);
  if (target.textContent !== words) target.textContent = words;
}

/** @param share 0 … 1 */
export function showProgress(share: number): void {
  element("done").style.width = `${100 * share}%`;
  element("bar").setAttribute("aria-valuenow", String(Math.round(100 * share)));
}

/** Keeps the screen on as long as the page is shown, where the browser allows it: a phone's pages sleep with it. */
export async function stayAwake(): Promise<void> {
  await navigator.wakeLock?.request("screen").catch(() => undefined);
}

export interface Tile {
  readonly name: string;
  readonly value: string;
  readonly note: string;
}

export function showTiles(tiles: readonly Tile[]): void {
  const boxes = tiles.map(({ name, value, note }) => {
    const box = create("div", "tile");
    box.append(create("span", "", name), create("b", "", value), create("span", "", note));
    return box;
  });
  element("tiles").replaceChildren(...boxes);
}

/** Gives a button that copies `text()` the word for having done so; where the browser refuses, it says so. */
export function copyOnClick(id: string, text: () => string): void {
  const button = element(id, HTMLButtonElement);
  const words = button.textContent;
  button.addEventListener("click", async () => {
    const copied = await navigator.clipboard?.writeText(text()).then(
      () => true,
      () => false,
    );
    button.textContent = copied ? "Copied" : "Not allowed: select the text";
    setTimeout(() => (button.textContent = words), 2500);
  });
}
