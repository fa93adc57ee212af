import { element } from "../elements.ts";

/** Shows words in an element; hides it if there are none. */
export function show(id: string, words: string): void {
  element(id).textContent = words;
  element(id).hidden = words === "";
}
