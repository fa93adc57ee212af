/** How the CPU backend runs things: order, memory, errors, many commands, other kernels than its own. */
import { afterAll, describe, expect, test } from "bun:test";
import { openCpu } from "../../src/devices/cpu/backend.ts";
import type { Buffer } from "../../src/engine/backend.ts";
import { conv2dBackwardW, conv2dForward } from "../../src/engine/ops/conv2d.ts";
import { linearForward } from "../../src/engine/ops/linear.ts";
import { lrnForward } from "../../src/engine/ops/lrn.ts";
import { accumulateKernel } from "../../src/engine/tape.ts";
import { DeviceError, UsageError } from "../../src/errors.ts";
import { failing, missing, nowhere, scale, slow } from "../support/cpu_kernels.ts";
import { testOrder, workOn } from "../support/order.ts";

const backend = await openCpu({ threads: 3 });
afterAll(() => backend.close());

const { buffer, add } = workOn(backend);
const wait = (x: Buffer) => backend.run(slow, { x }, { ms: 30 });

describe("order", () => {
  testOrder(backend, () => wait(buffer(0)));

  test("more commands than the ring holds", async () => {
    const [x, y] = [buffer(1), buffer(0)];
    for (let i = 0; i < 2000; i++) add(x, y);
    expect([...(await backend.read(y))]).toEqual([2000]);
    for (let i = 0; i < 2000; i++) add(x, y);
    await backend.synchronize();
    expect([...(await backend.read(y))]).toEqual([4000]);
  });

  test("the main thread goes on while workers compute", async () => {
    const x = buffer(0);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    // As many kernels as it takes, on a busy machine.
    let total = 0;
    for (let runs = 4; ticks < 5 && runs < 1000; runs *= 2) {
      for (let i = 0; i < runs; i++) wait(x);
      total += runs;
      await backend.synchronize();
    }
    clearInterval(timer);
    expect(ticks).toBeGreaterThanOrEqual(5);
    expect([...(await backend.read(x))]).toEqual([total]);
  });

  test("parts of buffers", async () => {
    const y = buffer(0, 1, 2, 3, 4);
    const x = buffer(10, 20, 30);
    const part = { buffer: y, offset: 3, length: 2 };
    backend.run(accumulateKernel, { x: { buffer: x, offset: 1, length: 2 }, y: part }, { size: 2 });
    backend.write(y, Float32Array.of(-1), 1);
    expect([...(await backend.read(y, 1, 4))]).toEqual([-1, 2, 23, 34]);
  });
});

describe("kernels that the backend does not know", () => {
  test("run their reference", async () => {
    const x = buffer(1, 2, 3);
    const y = backend.allocate("f32", 3);
    const bytes = backend.allocate("u8", 5);
    const words = backend.allocate("u32", 1);
    backend.run(scale, { x, y, bytes, words }, { factor: 2 });
    expect(await backend.read(y)).toEqual(Float32Array.of(2, 4, 6));
    expect((await backend.read(bytes))[0]).toBe(3);
    expect(await backend.read(words)).toEqual(Uint32Array.of(3));
  });

  test("fail with their name, and the backend goes on", async () => {
    const x = buffer(1);
    for (let i = 0; i < 3; i++) {
      backend.run(failing, { x }, {});
      expect(await caught(backend.synchronize())).toBe("cpu: kernel fixture_failing failed: it always fails");
    }
    backend.run(failing, { x }, {});
    expect(await caught(backend.read(x))).toContain("fixture_failing");
    expect([...(await backend.read(x))]).toEqual([1]);
  });

  test("must exist", async () => {
    const [f32, bytes, words] = [buffer(1), backend.allocate("u8", 1), backend.allocate("u32", 1)];
    const buffers = { x: f32, y: f32, bytes, words };
    backend.run(missing(), buffers, { factor: 1 });
    expect(await caught(backend.synchronize())).toContain("exports no kernel named fixture_missing");
    backend.run(nowhere(), buffers, { factor: 1 });
    expect(await caught(backend.synchronize())).toContain("cpu: kernel fixture_nowhere failed:");
  });

  test("a trap in WebAssembly is an error too", async () => {
    const x = buffer(1);
    // 4 GB from x on do not lie in the memory
    backend.run(accumulateKernel, { x, y: x }, { size: 2 ** 30 });
    expect(await caught(backend.synchronize())).toContain("cpu: kernel accumulate failed:");
    expect((await backend.read(buffer(3)))[0]).toBe(3);
  });
});

async function caught(promise: Promise<unknown>): Promise<string> {
  const error = await promise.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(DeviceError);
  return (error as DeviceError).message;
}

test("the same bytes each time, whoever computes what", async () => {
  const u = { images: 7, c: 4, h: 15, w: 14, o: 6, oh: 15, ow: 14, kh: 3, kw: 3, stride: 1, pad: 1, groups: 2 };
  const random = (length: number) => buffer(...Array.from({ length }, (_, i) => Math.sin(i * i)));
  const [x, w, b] = [random(7 * 4 * 15 * 14), random(6 * 2 * 9), random(6)];
  const [y, dw] = [random(7 * 6 * 15 * 14), random(6 * 2 * 9)];
  const results = new Set<string>();
  for (let i = 0; i < 20; i++) {
    backend.run(conv2dForward, { x, w, s: b, b, y }, { ...u, scaled: 1, activation: 1 });
    backend.run(conv2dBackwardW, { x, dy: y, dw }, { ...u, splits: 1 });
    results.add(`${Bun.hash(await backend.read(y))} ${Bun.hash(await backend.read(dw))}`);
  }
  expect(results.size).toBe(1);
});

test("reads that wait for different commands, of more than the ring holds", async () => {
  const own = await openCpu({ threads: 2 });
  const [one, sum] = [own.allocate("f32", 3), own.allocate("f32", 3)];
  own.write(one, new Float32Array(3).fill(1));
  own.write(sum, new Float32Array(3));
  const reads: ReturnType<typeof own.read>[] = [];
  for (let i = 1; i <= 2000; i++) {
    own.run(accumulateKernel, { x: one, y: sum }, { size: 3 });
    if (i % 100 === 0) reads.push(own.read(sum));
  }
  // A read sees at least what was queued before it.
  for (const [i, values] of (await Promise.all(reads)).entries()) expect(values[2]).toBeWithin(100 * (i + 1), 2001);
  expect([...(await own.read(sum))]).toEqual([2000, 2000, 2000]);
  await own.close();
});

test("addresses beyond 2 GiB, and memory that is full", async () => {
  const own = await openCpu({ threads: 2 });
  const low = own.allocate("f32", 550_000_000);
  const [x, y, s] = [own.allocate("f32", 30), own.allocate("f32", 30), own.allocate("f32", 30)];
  own.write(x, new Float32Array(30).fill(2));
  own.write(low, Float32Array.of(1, 2), 549_999_998);
  own.run(lrnForward, { x, y }, { maps: 3, plane: 10, groupMaps: 3, reach: 1, k: 8, alpha: 1, beta: 0.75 });
  // 2 · (8 + 2² + 2²)^−¾
  expect([...(await own.read(y, 0, 10))]).toEqual(Array<number>(10).fill(0.25));
  own.write(s, new Float32Array(30).fill(9));
  const part = { buffer: low, offset: 549_999_998, length: 2 };
  own.run(accumulateKernel, { x: part, y: { buffer: s, offset: 0, length: 2 } }, { size: 2 });
  expect([...(await own.read(s, 0, 3))]).toEqual([10, 11, 9]);
  // by BLAS if there is one, which was told where the memory is before it grew
  const u = { outputs: 2, inputs: 1, images: 3, splits: 1 };
  own.write(x, Float32Array.of(1, 2, 3, 4, 5, 6));
  own.run(linearForward, { w: part, x, b: part, y }, u);
  expect([...(await own.read(y, 0, 6))]).toEqual([2, 3, 4, 4, 6, 8]);
  expect(() => own.allocate("f32", 550_000_000)).toThrow("cpu: no memory for 2200000000 more bytes");
  own.free(low);
  own.free(own.allocate("f32", 550_000_000));
  expect(own.statistics()).toEqual({ buffers: 3, bytes: 360 });
  await own.close();
});

test("what lies outside a buffer, or was freed, can't be used", async () => {
  const [x, freed] = [buffer(1, 2, 3), buffer(1)];
  expect(() => backend.write(x, Float32Array.of(1, 2), 2)).toThrow("elements 2 to 4 are outside of a buffer of 3");
  const beyond = { buffer: x, offset: 1, length: 3 };
  expect(() => backend.run(accumulateKernel, { x, y: beyond }, { size: 3 })).toThrow(DeviceError);
  expect(await caught(backend.read(x, 0, 4))).toContain("elements 0 to 4");
  backend.free(freed);
  expect(() => add(x, freed)).toThrow("after it was freed");
});

test("memory given back is taken again", async () => {
  const own = await openCpu({ threads: 1 });
  // 40 times 120 MB do not fit in 4 GiB at once
  for (let i = 0; i < 40; i++) {
    const buffers = [own.allocate("f32", 10_000_000), own.allocate("u8", 1), own.allocate("f32", 20_000_000)];
    expect(own.statistics()).toEqual({ buffers: 3, bytes: 120_000_001 });
    for (const one of buffers) own.free(one);
  }
  expect(own.statistics()).toEqual({ buffers: 0, bytes: 0 });
  await own.close();
});

test("what is closed stays closed", async () => {
  const own = await openCpu({ threads: 2 });
  const x = own.allocate("f32", 1);
  await own.close();
  await own.close();
  expect(() => own.run(accumulateKernel, { x, y: x }, { size: 1 })).toThrow("cpu: the backend is closed");
});

test("threads must be a number of threads", async () => {
  await expect(openCpu({ threads: 0 })).rejects.toBeInstanceOf(UsageError);
  await expect(openCpu({ threads: 1.5 })).rejects.toBeInstanceOf(UsageError);
});

test("a process waits for its kernels, and ends without close()", async () => {
  const script = `
    import { openCpu } from "${import.meta.dir}/../../src/devices/cpu/backend.ts";
    import { slow } from "${import.meta.dir}/../support/cpu_kernels.ts";
    const backend = await openCpu({ threads: 2 });
    const x = backend.allocate("f32", 1);
    backend.write(x, Float32Array.of(41));
    backend.run(slow, { x }, { ms: 200 });
    console.log((await backend.read(x))[0]);
  `;
  const child = Bun.spawn([process.execPath, "-e", script], { stdout: "pipe", stderr: "pipe" });
  const [code, output] = [await child.exited, await new Response(child.stdout).text()];
  expect([code, output.trim()]).toEqual([0, "42"]);
});
