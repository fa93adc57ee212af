/** Of several ways to compute the same, one is kept to. */
import { expect, test } from "bun:test";
import type { Backend } from "../../../../src/engine/backend.ts";
import { openCounting } from "../../../../src/engine/counting.ts";
import { conv2d, conv2dBackwardW, conv2dBackwardX, conv2dForward } from "../../../../src/engine/ops/conv2d.ts";
import { runFastest } from "../../../../src/engine/ops/later/fastest.ts";
import { openReference } from "../../../../src/engine/reference.ts";
import { Tape } from "../../../../src/engine/tape.ts";

/** Which way is run on a device that says of each kernel and size what is fastest. */
function chosen(fastest: Backend["fastest"], names = ["winograd", "direct"]): string | undefined {
  const { fastest: _, ...rest } = openReference();
  let ran: string | undefined;
  const ways = Object.fromEntries(names.map((name) => [name, () => void (ran = name)]));
  runFastest({ ...rest, ...(fastest && { fastest }) }, conv2dForward, { images: 4 }, ways);
  return ran;
}

test("the way that the device says is run; the first, if it says nothing or something unknown", () => {
  expect(chosen(() => "direct")).toBe("direct");
  expect(chosen(() => "winograd")).toBe("winograd");
  expect(chosen(undefined)).toBe("winograd");
  expect(chosen(() => undefined)).toBe("winograd");
  expect(chosen(() => "constructor")).toBe("winograd");
});

test("a single way is not asked about", () => {
  const ask = () => {
    throw new Error("asked");
  };
  expect(chosen(ask, ["direct"])).toBe("direct");
});

/** A convolution that suits Winograd's filtering, forward and backward, on a device that prefers `way`. */
function convolved(way: string) {
  const asked: unknown[] = [];
  const ran = new Set<string>();
  const reference = openReference();
  const backend: Backend = {
    ...reference,
    needsSplitting: true,
    run(kernel, buffers, uniforms) {
      ran.add(kernel.name);
      reference.run(kernel, buffers, uniforms);
    },
    fastest(kernel, { kh, images }, ways) {
      asked.push([kernel.name, kh, images, Object.keys(ways)]);
      return way;
    },
  };
  const tape = new Tape(backend);
  const input = (shape: number[]) =>
    tape.input(shape, new Float32Array(shape.reduce((a, b) => a * b)), { requiresGrad: true });
  const y = conv2d(input([32, 4, 4, 2]), input([32, 32, 3, 3]), undefined, { pad: 1 });
  tape.backward(y, { gradient: input([32, 4, 4, 2]) });
  return { asked, ran };
}

test("a convolution asks for each of its results, under the kernel of that", () => {
  const winograd = convolved("winograd");
  const ways = ["winograd", "direct"];
  expect(winograd.asked).toEqual(
    [conv2dForward, conv2dBackwardW, conv2dBackwardX].map(({ name }) => [name, 3, 2, ways]),
  );
  expect(winograd.ran).toContain("winograd_3x3_output");
  expect(winograd.ran).toContain("winograd_3x3_windows");
  expect(winograd.ran).not.toContain("conv2d_forward");
  const direct = convolved("direct");
  expect(direct.asked).toEqual(winograd.asked);
  expect([...direct.ran].filter((name) => name.startsWith("winograd"))).toEqual([]);
  expect(direct.ran).toContain("conv2d_forward");
});

test("what counts memory goes by what the device knows, has it measure nothing, and counts what measuring takes", () => {
  /** What runs on a device that knows this much and measures, or doesn't. */
  const counted = (known: string | undefined, measures = true) => {
    const ran: string[] = [];
    const fastest: Backend["fastest"] = (_kernel, _sizes, ways) => {
      expect(ways).toEqual({});
      return known;
    };
    const device: Backend = { ...openReference(), ...(measures && { fastest }) };
    const ways = { winograd: () => void ran.push("winograd"), direct: () => void ran.push("direct") };
    runFastest(openCounting(device), conv2dForward, { images: 4 }, ways);
    return ran;
  };
  expect(counted("direct")).toEqual(["direct"]);
  expect(counted(undefined)).toEqual(["winograd", "direct", "winograd"]);
  expect(counted(undefined, false)).toEqual(["winograd"]);
});
