/**
 * Where a network sees what it names: bun examples/activation_map.ts photo.jpg [RUN]. A class activation map by hand
 * (Grad-CAM): maps of the last convolution, each weighted by the mean gradient of the class's logit over its positions.
 */
import { lastMaps, openDevice, openModel, Tape } from "alexnet";

const [photo = "photo.jpg", run] = process.argv.slice(2);
await using device = await openDevice();
const { model, classes, input } = await openModel(device, run);
using tape = new Tape(device);
const outputs = model.outputs(await input(tape, [photo])); // of each layer
const [maps, logits] = [outputs[lastMaps(model.layers)!.count - 1]!.keep(), outputs.at(-1)!];
const values = await logits.read();
const label = values.indexOf(Math.max(...values));
const gradient = tape.input(logits.shape, new Float32Array(values.length).fill(1, label, label + 1));
tape.backward(logits, { gradient }); // of this class's logit alone

const [a, slope, side] = [await maps.read(), await maps.grad!.read(), maps.shape[1]!]; // channels × side × side
const map = new Float32Array(side * side);
for (let k = 0; k < a.length; k += map.length) {
  const weight = slope.subarray(k, k + map.length).reduce((total, each) => total + each, 0) / map.length;
  for (let i = 0; i < map.length; i++) map[i]! += weight * a[k + i]!;
}
const shade = (each: number) => " ░▒▓█"[Math.round((4 * Math.max(0, each)) / Math.max(...map))]!.repeat(2);
console.log(`${classes[label]}, by ${model.network.name}:`);
for (let y = 0; y < map.length; y += side) console.log(Array.from(map.subarray(y, y + side), shade).join(""));
