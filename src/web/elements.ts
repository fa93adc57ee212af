/** The elements of a page. All text is inserted as text, never as markup. */
import { AlexNetError } from "../errors.ts";

/** The element of the page with this id. @throws AlexNetError when there is none, or of another kind */
export function element<T extends HTMLElement = HTMLElement>(id: string, kind?: new () => T): T {
  const found = document.getElementById(id);
  if (found && (!kind || found instanceof kind)) return found as T;
  throw new AlexNetError(`the page has no ${kind?.name ?? "element"} with the id ${id}`);
}

export function create<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  className = "",
  words = "",
): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  made.textContent = words;
  return made;
}
