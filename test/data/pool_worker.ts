/** A worker for threads.test.ts: does as its job says. */
import { serve } from "../../src/data/worker_pool.ts";
import { DataError } from "../../src/errors.ts";

export type Job = { double: number; afterMs?: number } | { fail: "expected" | "bug" | "text" } | { crash: true };

serve<Job, number>(async (job) => {
  if ("crash" in job) {
    // Outside of the job, as a mistake in a callback would be.
    setTimeout(() => {
      throw new Error("out of order");
    });
    return new Promise<number>(() => {});
  }
  if ("fail" in job) {
    if (job.fail === "expected") throw new DataError("a file is missing");
    if (job.fail === "bug") throw new TypeError("a mistake");
    throw "only text";
  }
  if (job.afterMs) await Bun.sleep(job.afterMs);
  return 2 * job.double;
});
