import { expect, test } from "bun:test";
import { findNetwork } from "../../src/net/networks.ts";
import { makeAugmentation } from "../../src/runs/augment_option.ts";
import { inWords } from "../../src/runs/augment_words.ts";

const words = (name: string, augment?: string) => {
  const network = findNetwork(name);
  return inWords(makeAugmentation(network.recipe.augmentation, augment), network);
};

test("a recipe in words", () => {
  expect(words("alexnet")).toBe("random crops, half of the images mirrored, colours moved by 0.1 σ along each axis");
  expect(words("alexnet-2012")).toBe(
    "one random crop for 32 images, half of the images mirrored, colours moved by 0.1 σ along each axis, divided by 1.1",
  );
  expect(words("alexnet", "none")).toBe("none");
});

test("every part is named with its number", () => {
  expect(words("alexnet", "resized-crop=0.3,jitter=0.2,erase=0.125,mixup=0.7,cutmix=2,smooth=0.05")).toBe(
    "parts of 30% to 100% of the area, resized, brightness, contrast and saturation ± 20%, hue ± 5% of a turn, " +
      "a rectangle erased in 12.5% of them, mixed with the next image (mixup α 0.7 or cutmix α 2), labels smoothed by 0.05",
  );
});

test("crops that are all of the image are not mentioned", () => {
  expect(words("small", "crop,mirror")).toBe("half of the images mirrored");
});
