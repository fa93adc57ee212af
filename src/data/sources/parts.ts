/** What people call the parts of a set: folders, shards, and the column of a list. */

export type Part = "train" | "val" | "test";

const SPELLINGS: Readonly<Record<Part, readonly string[]>> = {
  train: ["train", "training", "trn"],
  val: ["val", "valid", "validation", "validate", "dev", "devel", "development", "eval", "evaluation"],
  test: ["test", "testing", "tst"],
};

const PARTS: ReadonlyMap<string, Part> = new Map(
  Object.entries(SPELLINGS).flatMap(([part, words]) => words.map((word) => [word, part as Part])),
);

/** What may be added without a change of meaning: training_set, "Test Images", valdata. */
const ADDED = /(?:data)?(?:sets?|split|data|part|folder|files|samples|images?|imgs?|pictures?|pics|photos?)$/;

/** The part that a name stands for, in any case: Training, test_set, "Validation Images"; undefined when for none. */
export function partOf(name: string): Part | undefined {
  const letters = name.toLowerCase().replace(/[\s._-]+/g, "");
  return PARTS.get(letters) ?? PARTS.get(letters.replace(ADDED, ""));
}

/** The part that the first word to name one stands for: imagenet-train-000.tar. */
export function partAmong(text: string): Part | undefined {
  for (const word of text.split(/[^\p{L}]+/u)) {
    const part = partOf(word);
    if (part) return part;
  }
  return undefined;
}
