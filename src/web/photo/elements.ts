/** The page's elements. All text is inserted as text, never as markup. */

export function element<T extends HTMLElement = HTMLElement>(id: string): T {
  return document.getElementById(id) as T;
}

export function make<K extends keyof HTMLElementTagNameMap>(tag: K, className = ""): HTMLElementTagNameMap[K] {
  const made = document.createElement(tag);
  made.className = className;
  return made;
}

/** Shows words in an element; hides it if there are none. */
export function show(id: string, words: string): void {
  element(id).textContent = words;
  element(id).hidden = words === "";
}
