/**
 * Softmax regression on pixels, the classifier that the built-in set must defeat. To see what a long training makes
 * of the whole set: `bun test/data/linear_classifier.ts [epochs]`.
 */
import type { Dataset } from "../../src/data/dataset.ts";
import { shapes } from "../../src/data/shapes.ts";
import { Purpose, Random } from "../../src/random.ts";

/** The share of images classified rightly after training with momentum, batch 100, and a rate that falls to zero. */
export async function linearAccuracy(train: Dataset, val: Dataset, epochs: number, rate = 0.003) {
  const [seen, unseen] = [await standardised(train), await standardised(val)];
  const classes = train.classes.length;
  const length = seen.x[0]!.length;
  const w = Array.from({ length: classes }, () => new Float64Array(length + 1));
  const velocity = Array.from({ length: classes }, () => new Float64Array(length + 1));
  const batch = 100;
  for (let epoch = 0; epoch < epochs; epoch++) {
    const order = new Random(1, Purpose.shuffle, epoch).permutation(train.length);
    for (let start = 0; start + batch <= order.length; start += batch) {
      for (const v of velocity) v.forEach((value, i) => (v[i] = 0.9 * value));
      for (const i of order.subarray(start, start + batch)) {
        const x = seen.x[i]!;
        const scores = w.map((row) => score(row, x));
        const largest = Math.max(...scores);
        const sum = scores.reduce((total, value) => total + Math.exp(value - largest), 0);
        scores.forEach((value, k) => {
          const error = Math.exp(value - largest) / sum - (seen.y[i] === k ? 1 : 0);
          const step = ((rate * (1 - epoch / epochs)) / batch) * error;
          const v = velocity[k]!;
          for (let j = 0; j < length; j++) v[j]! -= step * x[j]!;
          v[length]! -= step;
        });
      }
      w.forEach((row, k) => velocity[k]!.forEach((value, i) => (row[i]! += value)));
    }
  }
  const accuracy = ({ x, y }: Images) => {
    const right = x.filter((image, i) => {
      const scores = w.map((row) => score(row, image));
      return scores.indexOf(Math.max(...scores)) === y[i];
    });
    return right.length / x.length;
  };
  return { onTraining: accuracy(seen), onValidation: accuracy(unseen) };
}

interface Images {
  readonly x: readonly Float32Array[];
  readonly y: readonly number[];
}

async function standardised(dataset: Dataset): Promise<Images> {
  const x: Float32Array[] = [];
  const y: number[] = [];
  for (let i = 0; i < dataset.length; i++) {
    const image = await dataset.read(i);
    if (image.kind !== "pixels") throw new Error("expected pixels");
    x.push(Float32Array.from(image.pixels, (value) => (value - 127.5) / 64));
    y.push(dataset.label(i));
  }
  return { x, y };
}

function score(row: Float64Array, x: Float32Array): number {
  let sum = row[x.length]!;
  for (let j = 0; j < x.length; j++) sum += row[j]! * x[j]!;
  return sum;
}

if (import.meta.main) {
  const { train, val } = shapes();
  const { onTraining, onValidation } = await linearAccuracy(train, val, Number(process.argv[2] ?? 100));
  console.log(
    `linear classifier: ${100 * onTraining}% of the training images, ${100 * onValidation}% of the validation images`,
  );
}
