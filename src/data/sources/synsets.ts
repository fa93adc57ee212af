/**
 * WordNet's synsets, ImageNet's classes: their IDs (n and eight digits, of WordNet 3.0's nouns) and words.
 * `ilsvrc2012_synsets.txt` has the 1,000 of ILSVRC-2012 in the order of their IDs, as in the challenge's devkit; source:
 * pytorch-image-models 1.0.31, imagenet_synsets.txt and imagenet_synset_to_lemma.txt.
 */
import TABLE from "./ilsvrc2012_synsets.txt" with { type: "text" };

export const SYNSET = /^n\d{8}$/;

let table: ReadonlyMap<string, string> | undefined;

/** Words by ID. @param text one "ID words" per line */
export function parseSynsets(text: string): Map<string, string> {
  const words = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, id, said] = /^(n\d{8})[ \t]+(\S.*?)\s*$/.exec(line) ?? [];
    if (id !== undefined) words.set(id, said!);
  }
  return words;
}

/**
 * Class names for keys: the words of synsets if all keys are synset IDs, otherwise the keys themselves, normalised (NFC).
 * Words that several classes share get the ID appended.
 * @param words a source's own words, for synsets that are not in the built-in table
 */
export function classNames(keys: readonly string[], words?: ReadonlyMap<string, string>): readonly string[] {
  if (!keys.every((key) => SYNSET.test(key))) return keys.map((key) => key.normalize());
  table ??= parseSynsets(TABLE);
  const names = keys.map((key) => table!.get(key) ?? words?.get(key) ?? key);
  return unlike(names, keys);
}

/** The names of ILSVRC-2012's 1,000 classes in the order of their IDs, the usual order of a network's outputs. */
export function ilsvrcClasses(): readonly string[] {
  return classNames([...parseSynsets(TABLE).keys()]);
}

/**
 * Names for the outputs of a network that says nothing of them.
 * @returns the names, and where they come from
 */
export function usualClasses(count: number): readonly [names: readonly string[], from: string] {
  const known = ilsvrcClasses();
  if (count === known.length) return [known, "ImageNet"];
  return [Array.from({ length: count }, (_, k) => String(k)), "their numbers"];
}

/** The names, with the key in parentheses after those that occur more than once. */
export function unlike(names: readonly string[], keys: readonly (string | number)[]): string[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return names.map((name, i) => (counts.get(name) === 1 ? name : `${name} (${keys[i]})`));
}
