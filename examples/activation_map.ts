/**
 * Where a network sees what it names: bun examples/activation_map.ts photo.jpg [RUN]. A class activation map by hand
 * (Grad-CAM): maps of the last convolution, each weighted by the mean gradient of the class's logit over its positions.
 */
import { lastMaps, multiply, openDevice, openModel, sum, Tape } from "alexnet";

const [photo = "photo.jpg", run] = process.argv.slice(2);
const device = await openDevice();
const { model, classes, input } = await openModel(device, run);
const tape = new Tape(device);
const outputs = model.outputs(await input(tape, [photo])); // of each layer
const [maps, logits] = [outputs[lastMaps(model.layers)!.count - 1]!.keep(), outputs.at(-1)!];
const values = await logits.read();
const label = values.indexOf(Math.max(...values));
const chosen = tape.input(
  logits.shape,
  values.map((_, k) => (k === label ? 1 : 0)),
);
tape.backward(sum(multiply(logits, chosen)));

const [a, gradient] = [await maps.read(), await maps.grad!.read()]; // channels × side × side
const [channels, side] = maps.shape as [number, number];
const map = new Float32Array(side * side);
for (let k = 0; k < channels; k++) {
  const places = (of: Float32Array) => of.subarray(k * map.length, (k + 1) * map.length);
  const weight = places(gradient).reduce((total, each) => total + each / map.length, 0);
  places(a).forEach((each, i) => (map[i]! += weight * each));
}
const most = Math.max(...map);
console.log(`${classes[label]}, by ${model.network.name}:`);
for (let y = 0; y < side; y++) {
  console.log(
    Array.from(map.subarray(y * side, (y + 1) * side), (each) =>
      "  ░░▒▒▓▓██".at(2 * Math.round((4 * Math.max(0, each)) / most)),
    ).join(""),
  );
}
await device.close();
