/** What the project's page measures; the measuring itself is tried by test/web/site/pages.test.ts, with little to do. */
import { expect, test } from "bun:test";
import { worksFor } from "../../../src/web/site/gpu/bench.ts";

const options = { backend: { kind: "webgpu" }, isMobile: false, isTrial: false } as const;

test.each([
  [1e10, 4],
  [1e12, 32],
  [5e13, 128],
])("at %d operations a second, convolutions of %d images", (flopsPerSecond, images) => {
  const names = worksFor({ flopsPerSecond }, options).map(({ name }) => name);
  expect(names).toContain(`conv2 weight gradient, batch ${images}`);
  expect(names).toContain(`fc6 forward, batch ${images}`);
  expect(names).toContain("2048×2048×2048");
  expect(names).toContain("alexnet-owt steps");
  expect(new Set(names).size).toBe(names.length);
});

test("where there is little memory, a smaller network", () => {
  for (const small of [{ isMobile: true }, { backend: { kind: "cpu" } as const }]) {
    const names = worksFor({ flopsPerSecond: 1e12 }, { ...options, ...small }).map(({ name }) => name);
    expect(names).toContain("resnet18 steps");
    expect(names).not.toContain("alexnet-owt steps");
  }
});
