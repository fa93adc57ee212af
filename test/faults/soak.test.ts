/** The short form of soak.ts; what steps hold is counted in test/training/step.test.ts and test/backends. */
import { expect, test } from "bun:test";
import { soakTrainings } from "../support/soak.ts";

test("ten trainings in one process leave no backend behind", async () => {
  const [third, last] = await soakTrainings("cpu", 10, [3, 10]);
  // One that stayed would hold its workers and their memory, some 60 MB.
  expect(last!.residentMegabytes - third!.residentMegabytes).toBeLessThan(150);
}, 120_000);
