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
const chosen = tape.input(logits.shape, new Float32Array(values.length).fill(1, label, label + 1));
tape.backward(sum(multiply(logits, chosen)));

const [a, gradient] = [await maps.read(), await maps.grad!.read()]; // channels × side × side
const side = maps.shape[1]!;
const map = new Float32Array(side * side);
for (let k = 0; k < a.length; k += map.length) {
  const weight = gradient.subarray(k, k + map.length).reduce((total, each) => total + each, 0) / map.length;
  for (let i = 0; i < map.length; i++) map[i]! += weight * a[k + i]!;
}
const shade = (each: number) => " ░▒▓█"[Math.round((4 * Math.max(0, each)) / Math.max(...map))]!.repeat(2);
console.log(`${classes[label]}, by ${model.network.name}:`);
for (let y = 0; y < map.length; y += side) console.log(Array.from(map.subarray(y, y + side), shade).join(""));
await device.close();
