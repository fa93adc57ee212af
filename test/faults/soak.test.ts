/** The short form of soak.ts. */
import { expect, test } from "bun:test";
import { describeBackends } from "../helpers/backends.ts";
import { held, soakSteps, soakTrainings } from "../helpers/soak.ts";

describeBackends("forty steps", ({ open }) => {
  test("hold as much at the end as after the tenth, and give it back", async () => {
    const backend = await open();
    const before = held(backend, 0);
    const [tenth, last] = await soakSteps(backend, 40, [10, 40]);
    const { done: _, residentMegabytes: __, ...counts } = tenth!;
    expect(counts.buffers).toBeGreaterThan(before.buffers);
    expect(last).toMatchObject(counts);
    // The gradient of the loss with respect to itself, a single number, stays for the next training.
    expect(held(backend, 0).buffers - before.buffers).toBeLessThanOrEqual(1);
  }, 120_000);
});

test("ten trainings in one process leave no backend behind", async () => {
  const [third, last] = await soakTrainings("cpu", 10, [3, 10]);
  // One that stayed would hold its workers and their memory, some 60 MB.
  expect(last!.residentMegabytes - third!.residentMegabytes).toBeLessThan(150);
}, 120_000);
