/** The photos that came in, and the list of them. */
import { create, element } from "../elements.ts";
import type { Answer } from "./messages.ts";

export interface Photo {
  readonly name: string;
  readonly file: Blob;
  /** For as long as it is in the list. */
  readonly url: string;
  readonly answer?: Answer;
  /** Why there is no answer: a sentence for people. */
  readonly problem?: string;
}

interface Entry {
  photo: Photo;
  readonly button: HTMLButtonElement;
  readonly words: HTMLElement;
}

export class Album {
  readonly #entries = new Map<string, Entry>();
  readonly #choose: (url: string) => void;

  /** @param choose called with the URL of the photo that is chosen from the list */
  constructor(choose: (url: string) => void) {
    this.#choose = choose;
  }

  add(file: Blob, name: string): Photo {
    const url = URL.createObjectURL(file);
    const [button, picture, words] = [create("button"), create("img"), create("span")];
    button.type = "button";
    picture.alt = "";
    picture.decoding = "async";
    picture.src = url;
    words.dir = "auto";
    words.textContent = name;
    button.append(picture, words);
    button.onclick = () => this.#choose(url);
    const item = create("li");
    item.append(button);
    element("photos").append(item);
    const photo = { name, file, url };
    this.#entries.set(url, { photo, button, words });
    // One photo alone is shown without a list.
    element("list").hidden = this.#entries.size < 2;
    return photo;
  }

  get(url: string): Photo | undefined {
    return this.#entries.get(url)?.photo;
  }

  /** Keeps what came out for a photo, if it is still in the list. @param words for the list, beside its name */
  settle(url: string, outcome: Pick<Photo, "answer" | "problem">, words: string): void {
    const entry = this.#entries.get(url);
    if (!entry) return;
    entry.photo = { ...entry.photo, ...outcome };
    const strong = create("b");
    strong.textContent = words;
    strong.className = outcome.problem === undefined ? "" : "wrong";
    entry.words.replaceChildren(strong, document.createElement("br"), entry.photo.name);
  }

  /** Marks the photo that is shown; none if undefined. */
  mark(url: string | undefined): void {
    for (const [each, { button }] of this.#entries) {
      if (each === url) button.setAttribute("aria-current", "true");
      else button.removeAttribute("aria-current");
    }
  }

  clear(): void {
    for (const url of this.#entries.keys()) URL.revokeObjectURL(url);
    this.#entries.clear();
    element("photos").replaceChildren();
    element("list").hidden = true;
  }
}
