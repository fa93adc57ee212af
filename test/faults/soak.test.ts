/** The short form of soak.ts. What steps keep allocated is counted in test/training/step.test.ts and test/devices. */
import { expect, test } from "bun:test";
import { soakTrainings } from "../support/soak.ts";

test("ten trainings in one process leak no backend", async () => {
  const [third, last] = await soakTrainings("cpu", 10, [3, 10]);
  // A leaked one would keep its workers and their memory, some 60 MB.
  expect(last!.residentMegabytes - third!.residentMegabytes).toBeLessThan(150);
}, 120_000);
