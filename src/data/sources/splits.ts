/** Names of splits, as used for folders, shards, and the split column of a list. */

export type Split = "train" | "val" | "test";

const SPELLINGS: Readonly<Record<Split, readonly string[]>> = {
  train: ["train", "training", "trn"],
  val: ["val", "valid", "validation", "validate", "dev", "devel", "development", "eval", "evaluation"],
  test: ["test", "testing", "tst"],
};

const SPLITS: ReadonlyMap<string, Split> = new Map(
  Object.entries(SPELLINGS).flatMap(([split, words]) => words.map((word) => [word, split as Split])),
);

/** Suffixes that don't change the meaning: training_set, "Test Images", valdata. */
const ADDED = /(?:data)?(?:sets?|split|data|part|folder|files|samples|images?|imgs?|pictures?|pics|photos?)$/;

/** The split that a name means, ignoring case: Training, test_set, "Validation Images"; undefined for other names. */
export function splitOf(name: string): Split | undefined {
  const letters = name.toLowerCase().replace(/[\s._-]+/g, "");
  return SPLITS.get(letters) ?? SPLITS.get(letters.replace(ADDED, ""));
}

/** The split named by any word, the first that does: imagenet-train-000.tar. */
export function splitAmong(text: string): Split | undefined {
  for (const word of text.split(/[^\p{L}]+/u)) {
    const split = splitOf(word);
    if (split) return split;
  }
  return undefined;
}
