/** Layers, a loss and a step by hand: a residual block, which learns to tell which feature of its input is the largest. */
import { add, matmul, mean, multiply, openDevice, Parameter, relu, Sgd, subtract, Tape } from "alexnet";

await using device = await openDevice({ device: "cpu" });
const w1 = new Parameter(device, "block.weight", [3, 3], { init: "he" }); // 3 features from 3
const w2 = new Parameter(device, "fc.weight", [3, 3], { init: { normal: 0.1 }, seed: 1 });
const optimizer = new Sgd([w1, w2], { momentum: 0.9, decay: 0.0005 });
for (let step = 1; step <= 40; step++) {
  using tape = new Tape(device); // owns the memory of one step
  const x = tape.input([3, 3], Float32Array.of(2, 1, 0, 1, 2, 0, 0, 1, 2)); // features × images
  const right = tape.input([3, 3], Float32Array.of(1, 0, 0, 0, 1, 0, 0, 0, 1)); // classes × images
  const missed = subtract(matmul(w2, add(x, relu(matmul(w1, x)))), right);
  const loss = mean(multiply(missed, missed)); // or any other scalar
  tape.backward(loss);
  optimizer.step(0.1); // the learning rate
  if (step % 10 === 0) console.log(`step ${step}: loss ${(await loss.read())[0]!.toFixed(4)}`);
}
