/**
 * WordNet's synsets, by which ImageNet's classes go: their IDs (n and eight digits, of WordNet 3.0's nouns) and words.
 * `ilsvrc2012_synsets.txt` has the 1,000 of ILSVRC-2012 in the order of their IDs, as the challenge's devkit states
 * them; source: pytorch-image-models 1.0.31, imagenet_synsets.txt and imagenet_synset_to_lemma.txt.
 */
import TABLE from "./ilsvrc2012_synsets.txt" with { type: "text" };

export const SYNSET = /^n\d{8}$/;

let table: ReadonlyMap<string, string> | undefined;

/** "ID words" a line. */
export function parseSynsets(text: string): Map<string, string> {
  const words = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const [, id, said] = /^(n\d{8})[ \t]+(\S.*?)\s*$/.exec(line) ?? [];
    if (id !== undefined) words.set(id, said!);
  }
  return words;
}

/**
 * What people call these classes: the words of synsets, where all are synset IDs, else the keys, their accents composed
 * (NFC). Words that two classes share get the ID appended.
 * @param words of synsets that are not in the table: a source's own, so that what it leaves out has the same name
 */
export function classNames(keys: readonly string[], words?: ReadonlyMap<string, string>): readonly string[] {
  if (!keys.every((key) => SYNSET.test(key))) return keys.map((key) => key.normalize());
  table ??= parseSynsets(TABLE);
  const names = keys.map((key) => table!.get(key) ?? words?.get(key) ?? key);
  return unlike(names, keys);
}

/** What the 1,000 classes of ILSVRC-2012 are called, in the order of their IDs, by which nets everywhere number them. */
export function ilsvrcClasses(): readonly string[] {
  return classNames([...parseSynsets(TABLE).keys()]);
}

/** Names, with the key in parentheses behind those that occur more than once. */
export function unlike(names: readonly string[], keys: readonly (string | number)[]): string[] {
  const counts = new Map<string, number>();
  for (const name of names) counts.set(name, (counts.get(name) ?? 0) + 1);
  return names.map((name, i) => (counts.get(name) === 1 ? name : `${name} (${keys[i]})`));
}
