import { expect, test } from "bun:test";
import { titleOf } from "../../src/data/dataset.ts";

test.each([
  ["/home/me/photos", "photos"],
  ["/home/me/photos/val", "photos/val"],
  ["C:\\photos\\train\\", "photos/train"],
  ["train", "train"],
  ["cifar10-test.tar", "cifar10-test.tar"],
  ["/", ""],
])("%s has the title %s", (name, title) => {
  expect(titleOf({ name })).toBe(title);
});
