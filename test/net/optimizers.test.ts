/** What every optimizer keeps to: state with names of its own, as many bytes as it says. */
import { describe, expect, test } from "bun:test";
import { randomArray } from "../../src/engine/cases.ts";
import { Parameter } from "../../src/engine/parameter.ts";
import { openReference } from "../../src/engine/reference.ts";
import { size } from "../../src/engine/tensor.ts";
import { UsageError } from "../../src/errors.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { Model } from "../../src/net/model.ts";
import { expectClose } from "../support/data.ts";
import { createOptimizer, findOptimizer, optimizerNames } from "../../src/net/optimizers.ts";

const all = [
  ...optimizerNames.map((optimizer) => [optimizer, { optimizer }] as const),
  ["averages", { average: { kind: "ema", decay: 0.9 } }] as const,
];

describe.each(all)("%s", (_, settings) => {
  const backend = openReference();
  const model = new Model(small, backend);
  const before = backend.statistics();
  const optimizer = createOptimizer(model, { ...small.recipe, ...settings });

  test("has state of its own name, the parameters' shapes or one element, and zero at first", async () => {
    const names = optimizer.state.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { name, shape, read } of optimizer.state) {
      expect(name).toMatch(/^(velocity|optimizer)\./);
      const parameter = model.parameters.find((parameter) => name.endsWith(`.${parameter.name}`));
      expect(shape).toEqual(parameter?.shape ?? [1]);
      expect(await read()).toEqual(new Float32Array(size(shape)));
    }
  });

  test("has state that comes back as it was written", async () => {
    const values = optimizer.state.map(({ shape }, i) => new Float32Array(size(shape)).fill(i + 1));
    optimizer.state.forEach(({ write }, i) => write(values[i]!));
    expect(await Promise.all(optimizer.state.map(({ read }) => read()))).toEqual(values);
  });

  test("gives its memory back", () => {
    optimizer.free();
    expect(backend.statistics()).toEqual(before);
  });
});

test.each([...optimizerNames])("%s divides gradients by the factor of the loss", async (optimizer) => {
  const weightsAfter = async (lossScale: number) => {
    const backend = openReference("f64");
    const parameters = ["first", "second.bias", "third", "last"].map(
      (name) => new Parameter(backend, name, [6, 4], { init: "he" }),
    );
    const specs = parameters.map(({ name }) => ({ name, role: name.endsWith("bias") ? "bias" : "weight" }) as const);
    const model = { network: { name: "own" }, parameters, specs, lossScale };
    const own = new (findOptimizer(optimizer))(model, { momentum: 0.9, decay: 0.01, biasDecay: true });
    for (let step = 1; step <= 3; step++) {
      for (const [i, parameter] of parameters.entries()) {
        parameter.grad = parameter.gradientStorage();
        const values = randomArray([24], 10 * step + i).map((value) => value * lossScale);
        backend.write(parameter.grad.buffer, values);
      }
      own.step(0.05);
    }
    return Promise.all(parameters.map((parameter) => parameter.read()));
  };
  const [plain, scaled] = [await weightsAfter(1), await weightsAfter(1024)];
  plain.forEach((weights, i) => expectClose("weights", scaled[i]!, weights, 1e-6));
});

test("one that there isn't is refused by name", () => {
  expect(() => findOptimizer("sgg")).toThrow(UsageError);
  expect(() => findOptimizer("sgg")).toThrow('no optimizer is called "sgg"; did you mean "sgd"?; known: sgd');
  expect(() => findOptimizer("toString")).toThrow(UsageError);
});
