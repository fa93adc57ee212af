/** Trains on a folder of photos with a folder for each class: bun examples/train.ts photos/. Ctrl-C stops and saves. */
import { train } from "alexnet";

const stop = new AbortController();
process.once("SIGINT", () => stop.abort());

const { run, history, best, interrupted } = await train({
  data: process.argv[2], // without it, the built-in set
  epochs: 3,
  signal: stop.signal,
  onEvent(event) {
    if (event.type === "step") console.log(`epoch ${event.epoch}, batch ${event.batch}: loss ${event.loss.toFixed(3)}`);
    if (event.type === "warning") console.log(event.line);
  },
});
for (const { epoch, val } of history) console.log(`epoch ${epoch}: ${(100 * (1 - val.top1)).toFixed(1)}% correct`);
console.log(interrupted ? `stopped: train({ resume: "${run}" }) goes on` : `epoch ${best!.epoch} was the best: ${run}`);
