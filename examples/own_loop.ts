/** The training loop itself: batches, the mean image, a step for each. `shapes()` could be any data set. */
import { AdamW, centreView, createLoader, findNetwork, measureStatistics, Model, networkInput } from "alexnet";
import { openDevice, passOf, shapes, softmaxCrossEntropy, Tape, uploadMean } from "alexnet";

const device = await openDevice(); // the best GPU, else the cpu
const { train: data } = shapes({ train: Number(process.argv[2] ?? 4000) });
const model = new Model(findNetwork("small"), device);
model.initialise(0);
const { record, crop } = model.network;
const mean = uploadMean(device, record, (await measureStatistics(data, { recordSize: record })).mean);
const optimizer = new AdamW(model);
let step = 0;
for (let epoch = 0; epoch < 2; epoch++) {
  const batches = createLoader(data, { batch: 50, recordSize: record, shuffle: { seed: 0, epoch } });
  for await (const { pixels, labels } of batches) {
    const tape = new Tape(device); // owns the memory of one step
    const x = networkInput(tape, model, mean, { pixels, views: centreView(labels.length, record, crop) });
    const logits = model.forward(x, passOf({ seed: 0, step: ++step }));
    const { loss } = softmaxCrossEntropy(logits, tape.input([labels.length], labels));
    tape.backward(loss);
    optimizer.step(0.001);
    if (step % 20 === 0) console.log(`step ${step}: loss ${(await loss.read())[0]!.toFixed(3)}`);
    tape.release();
  }
}
await device.close();
