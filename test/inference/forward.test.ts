/** Forward passes: what several views come to. */
import { expect, setDefaultTimeout, test } from "bun:test";
import { centreView, testViews } from "../../src/data/augmentation.ts";
import { probabilities } from "../../src/inference/forward.ts";
import { cifar13 } from "../../src/net/cifar_networks.ts";
import { describeBackends } from "../support/backends.ts";
import { expectClose } from "../support/data.ts";
import { drawn, firstBatches, trainer } from "../support/training.ts";

// Far more than it takes, for busy machines.
setDefaultTimeout(300_000);

describeBackends(
  "probabilities",
  ({ open }) => {
    test("of ten views are the mean of those of each", async () => {
      const backend = await open();
      const data = await drawn(32, 20);
      const { model, deviceMean, free } = trainer(cifar13, backend, data);
      const [{ pixels } = {}] = await firstBatches(data.dataset, 3, 32, 1);
      const views = testViews(10, 3, 32, 24);
      const all = await probabilities(model, deviceMean, pixels!, views);
      const sums = new Float64Array(all.length);
      for (const view of views) {
        (await probabilities(model, deviceMean, pixels!, [view])).forEach((p, i) => (sums[i]! += p / 10));
      }
      expectClose("mean", all, sums, 1e-12);
      for (let n = 0; n < 3; n++) expect(all[n]! + sumFrom(all, n + 3)).toBeCloseTo(1, 12);
      const centre = await probabilities(model, deviceMean, pixels!, [centreView(3, 32, 24)]);
      expect(centre).not.toEqual(all);
      free();
    });
  },
  ["cpu"],
);

/** Of every third number from i on. */
function sumFrom(values: Float64Array, i: number): number {
  return i < values.length ? values[i]! + sumFrom(values, i + 3) : 0;
}
