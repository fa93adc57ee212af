/** Layers, a loss and a step by hand: a residual block, trained with the hinge loss of a support vector machine. */
import { add, linear, mean, multiply, openDevice, Parameter, relu, Sgd, subtract, Tape } from "alexnet";

const device = await openDevice({ device: "cpu" });
const w1 = new Parameter(device, "block.weight", [4, 4], { init: "he" }); // 4 features from 4
const b1 = new Parameter(device, "block.bias", [4], { init: { constant: 0 } });
const w2 = new Parameter(device, "fc.weight", [3, 4], { init: { normal: 0.1 }, seed: 1 }); // 3 classes
const b2 = new Parameter(device, "fc.bias", [3], { init: { constant: 0 } });
const optimizer = new Sgd([w1, b1, w2, b2], { momentum: 0.9, decay: 0.0005 });

for (let step = 1; step <= 40; step++) {
  const tape = new Tape(device); // owns the memory of one step
  const x = tape.input([4, 3], Float32Array.of(1, 0, 0, 1, 0.5, 0.5, 1, 1, 0, 0, 1, 0)); // features × images
  const signs = tape.input([3, 3], Float32Array.of(1, -1, -1, -1, 1, -1, -1, -1, 1)); // 1 for the image's class, else −1
  const scores = linear(add(x, relu(linear(x, w1, b1))), w2, b2);
  const one = tape.input([3, 3], new Float32Array(9).fill(1));
  const short = relu(subtract(one, multiply(signs, scores))); // by how much scores miss their margin
  const loss = mean(multiply(short, short));
  tape.backward(loss);
  optimizer.step(0.1); // the learning rate
  if (step % 10 === 0) console.log(`step ${step}: loss ${(await loss.read())[0]!.toFixed(4)}`);
  tape.release();
}
await device.close();
