/** What every optimizer keeps to: state with names of its own, as many bytes as it says. */
import { describe, expect, test } from "bun:test";
import { openReference } from "../../src/engine/reference.ts";
import { size } from "../../src/engine/tensor.ts";
import { UsageError } from "../../src/errors.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { Model } from "../../src/net/model.ts";
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

test("one that there isn't is refused by name", () => {
  expect(() => findOptimizer("sgg")).toThrow(UsageError);
  expect(() => findOptimizer("sgg")).toThrow('no optimizer is called "sgg"; did you mean "sgd"?; known: sgd');
  expect(() => findOptimizer("toString")).toThrow(UsageError);
});
