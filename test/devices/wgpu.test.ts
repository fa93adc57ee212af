import { afterAll, beforeAll, expect, spyOn, test } from "bun:test";
import { hostMemory } from "../../src/devices/host_memory.ts";
import { listAdapters, openWgpu, type WgpuBackend } from "../../src/devices/wgpu/backend.ts";
import { loadWgpu } from "../../src/devices/wgpu/library.ts";
import { view, type Backend } from "../../src/engine/backend.ts";
import { kernel, line } from "../../src/engine/kernel.ts";
import { lrnBackward, lrnForward } from "../../src/engine/ops/lrn.ts";
import { openReference } from "../../src/engine/reference.ts";
import { DeviceError } from "../../src/errors.ts";
import { Purpose, Random } from "../../src/random.ts";
import { describeBackends } from "../support/backends.ts";
import accumulateWgsl from "../../kernels/wgsl/accumulate.wgsl" with { type: "text" };

const accumulate = kernel({
  name: "accumulate",
  module: import.meta.url,
  wgsl: accumulateWgsl,
  buffers: { x: "read", y: "update" },
  uniforms: { size: "u32" },
  workgroups: ({ size }) => line(size),
  reference({ x, y }, { size }) {
    for (let i = 0; i < size; i++) y[i]! += x[i]!;
  },
});

function broken(name: string, wgsl: string) {
  return kernel({
    name,
    module: import.meta.url,
    wgsl,
    buffers: { y: "write" },
    uniforms: {},
    workgroups: () => [1, 1, 1],
    reference() {},
  });
}

function normal(length: number, seed = 1): Float32Array {
  const random = new Random(seed, Purpose.weights);
  return Float32Array.from({ length }, () => random.normal());
}

describeBackends(
  "the wgpu backend",
  () => {
    let gpu: WgpuBackend;
    beforeAll(async () => {
      gpu = await openWgpu({ adapter: 0, checks: true });
    });
    afterAll(() => gpu.close());

    function upload(backend: Backend, data: Float32Array) {
      const buffer = backend.allocate("f32", data.length);
      backend.write(buffer, data);
      return buffer;
    }

    test.each([1, 2, 63, 64, 65, 1009, 70_000 * 64])(
      "accumulate equals its reference for %d elements",
      async (size) => {
        const [x, y] = [normal(size, 1), normal(size, 2)];
        const results: Float32Array[] = [];
        for (const backend of [gpu, openReference()]) {
          const buffers = { x: upload(backend, x), y: upload(backend, y) };
          backend.run(accumulate, buffers, { size });
          results.push((await backend.read(buffers.y)) as Float32Array);
          backend.free(buffers.x);
          backend.free(buffers.y);
        }
        expect(results[0]!.length).toBe(size);
        expect(Buffer.compare(bytesOf(results[0]!), bytesOf(results[1]!))).toBe(0);
      },
    );

    test.each([
      { maps: 1, plane: 1, groups: 1 },
      { maps: 7, plane: 65, groups: 1 },
      { maps: 10, plane: 131, groups: 2 },
    ])("LRN equals its reference for $maps maps of $plane in $groups groups", async ({ maps, plane, groups }) => {
      const uniforms = { maps, plane, groupMaps: maps / groups, reach: 2, k: 2, alpha: 0.1, beta: 0.75 };
      const results: Float32Array[][] = [];
      for (const backend of [gpu, openReference()]) {
        const [x, dy] = [upload(backend, normal(maps * plane, 3)), upload(backend, normal(maps * plane, 4))];
        const [y, dx] = [0, 1].map(() => backend.allocate("f32", maps * plane)) as [typeof x, typeof x];
        backend.run(lrnForward, { x, y }, uniforms);
        backend.run(lrnBackward, { x, dy, dx }, { ...uniforms, activation: 1 });
        results.push((await Promise.all([y, dx].map((buffer) => backend.read(buffer)))) as Float32Array[]);
        for (const buffer of [x, dy, y, dx]) backend.free(buffer);
      }
      for (const [i, actual] of results[0]!.entries()) {
        const expected = results[1]![i]!;
        for (const [at, value] of actual.entries()) expect(value).toBeCloseTo(expected[at]!, 5);
      }
    });

    test("a view binds a part of a buffer", async () => {
      const offset = (gpu.limits.viewAlignment / 4) * 3;
      const x = upload(gpu, normal(offset + 100));
      const y = upload(gpu, new Float32Array(offset + 100));
      gpu.run(accumulate, { x: view(x, offset, 50), y: view(y, offset, 50) }, { size: 50 });
      const expected = new Float32Array(offset + 100);
      expected.set(normal(offset + 100).subarray(offset, offset + 50), offset);
      expect(await gpu.read(y)).toEqual(expected);
      expect(await gpu.read(y, offset + 10, 5)).toEqual(expected.subarray(offset + 10, offset + 15));
      expect(() => gpu.run(accumulate, { x: view(x, 1, 50), y }, { size: 50 })).toThrow(/start at a multiple of/);
      expect(() => gpu.run(accumulate, { x: view(x, offset, 101), y }, { size: 50 })).toThrow(DeviceError);
    });

    test("writes, kernels, reads and frees keep their order", async () => {
      const y = upload(gpu, new Float32Array([0]));
      const reads: Promise<unknown>[] = [];
      for (let i = 0; i < 5; i++) {
        const x = upload(gpu, new Float32Array([1]));
        gpu.run(accumulate, { x, y }, { size: 1 });
        gpu.write(x, new Float32Array([10]));
        gpu.run(accumulate, { x, y }, { size: 1 });
        reads.push(gpu.read(y));
        gpu.write(x, new Float32Array([1000]));
        gpu.free(x);
      }
      expect((await Promise.all(reads)).map((data) => (data as Float32Array)[0])).toEqual([11, 22, 33, 44, 55]);
    });

    test("more kernels are queued than the uniforms of one submission hold", async () => {
      const [x, y] = [upload(gpu, new Float32Array([1])), upload(gpu, new Float32Array([0]))];
      for (let i = 0; i < 40_000; i++) gpu.run(accumulate, { x, y }, { size: 1 });
      expect((await gpu.read(y))[0]).toBe(40_000);
    });

    test("a device with nothing to do gets its first kernels while more are queued", async () => {
      const gpu = await openWgpu({ adapter: 0, checks: true, clock: { now: () => 0, timers: [] } });
      const submit = spyOn(await loadWgpu(), "wgpuQueueSubmit");
      const [x, y] = [upload(gpu, new Float32Array([1])), upload(gpu, new Float32Array([0]))];
      gpu.run(accumulate, { x, y }, { size: 1 });
      for (let step = 0; step < 2; step++) {
        await gpu.synchronize();
        submit.mockClear();
        for (let i = 0; i < 10; i++) gpu.run(accumulate, { x, y }, { size: 1 });
        expect(submit).toHaveBeenCalledTimes(1);
        for (let i = 0; i < 90; i++) gpu.run(accumulate, { x, y }, { size: 1 });
        // Few in all: each costs the host time.
        expect(submit).toHaveBeenCalledTimes(2);
      }
      submit.mockRestore();
      expect((await gpu.read(y))[0]).toBe(201);
      await gpu.close();
    });

    test("a slow device gets few kernels at a time", async () => {
      let time = 0;
      const gpu = await openWgpu({ adapter: 0, checks: true, clock: { now: () => time, timers: [] } });
      const submit = spyOn(await loadWgpu(), "wgpuQueueSubmit");
      const [x, y] = [upload(gpu, new Float32Array([1])), upload(gpu, new Float32Array([0]))];
      /** Runs 120 kernels that take `ms` together. @returns the number of submissions */
      const step = async (ms: number) => {
        submit.mockClear();
        for (let i = 0; i < 120; i++) gpu.run(accumulate, { x, y }, { size: 1 });
        const done = gpu.synchronize();
        time += ms;
        await done;
        // What passes while it has nothing to do is not its time.
        time += 10_000;
        return submit.mock.calls.length;
      };
      // As long as nothing is known of the device, 8 at a time.
      expect(await step(1600)).toBe(15);
      // 13.3 ms each: 7 at a time.
      expect(await step(12)).toBe(18);
      // 0.1 ms each: 8, 32 and the other 80.
      expect(await step(12_000)).toBe(3);
      // 100 ms each, and more.
      expect(await step(120_000)).toBe(120);
      expect(await step(12)).toBe(120);
      expect(await step(12)).toBe(3);
      submit.mockRestore();
      expect((await gpu.read(y))[0]).toBe(6 * 120);
      await gpu.close();
    });

    test("kernels that are queued meanwhile do not count as done", async () => {
      let time = 0;
      const gpu = await openWgpu({ adapter: 0, checks: true, clock: { now: () => time, timers: [] } });
      const submit = spyOn(await loadWgpu(), "wgpuQueueSubmit");
      const [x, y] = [upload(gpu, new Float32Array([1])), upload(gpu, new Float32Array([0]))];
      const run = (kernels: number) => {
        for (let i = 0; i < kernels; i++) gpu.run(accumulate, { x, y }, { size: 1 });
      };
      run(20);
      const first = gpu.read(y);
      run(100);
      gpu.flush();
      time += 1000;
      expect((await first)[0]).toBe(20);
      submit.mockClear();
      run(10);
      // 50 ms each.
      expect(submit).toHaveBeenCalledTimes(5);
      submit.mockRestore();
      await gpu.close();
    });

    test("a GPU that shares the machine's memory may hold half of it", async () => {
      const shared = ["integrated", "software"].includes((await listAdapters())[0]!.kind);
      expect(gpu.limits.totalBytes).toBe(shared ? hostMemory() / 2 : Infinity);
    });

    test("a part of an array is written to a part of a buffer", async () => {
      const data = Float32Array.from({ length: 1000 }, (_, i) => i);
      const y = upload(gpu, new Float32Array(10));
      gpu.write(y, data.subarray(500, 504), 3);
      expect([...(await gpu.read(y))]).toEqual([0, 0, 0, 500, 501, 502, 503, 0, 0, 0]);
      expect(() => gpu.write(y, data.subarray(0, 8), 3)).toThrow(/elements 3 to 11 are outside of a buffer of 10/);
      await expect(gpu.read(y, 5, 6)).rejects.toThrow(/elements 5 to 11 are outside of a buffer of 10/);
    });

    test("bytes are written and read at odd lengths", async () => {
      const buffer = gpu.allocate("u8", 13);
      gpu.write(
        buffer,
        Uint8Array.from({ length: 13 }, (_, i) => i),
      );
      gpu.write(buffer, Uint8Array.of(100, 101, 102, 103), 4);
      expect([...(await gpu.read(buffer))]).toEqual([0, 1, 2, 3, 100, 101, 102, 103, 8, 9, 10, 11, 12]);
      expect([...(await gpu.read(buffer, 7, 3))]).toEqual([103, 8, 9]);
      expect(() => gpu.write(buffer, Uint8Array.of(1), 1)).toThrow(/multiples of 4/);
      expect(() => gpu.write(buffer, new Uint8Array(14))).toThrow(/elements 0 to 14 are outside/);
      expect(() => gpu.write(buffer, new Float32Array(3))).toThrow(/Float32Array/);
    });

    test("numbers in half precision are written and read at odd lengths", async () => {
      if (!gpu.hasHalf) return void expect(() => gpu.allocate("f16", 5)).toThrow("no half precision");
      const buffer = gpu.allocate("f16", 5);
      gpu.write(buffer, Float16Array.of(1.5, -2, 300, 0.1, 5));
      gpu.write(buffer, Float16Array.of(7, 8), 2);
      expect(await gpu.read(buffer)).toEqual(Float16Array.of(1.5, -2, 7, 8, 5));
      expect(await gpu.read(buffer, 3, 1)).toEqual(Float16Array.of(8));
    });

    test("the event loop runs while the device computes", async () => {
      const size = 1 << 20;
      const [x, y] = [upload(gpu, new Float32Array(size).fill(1)), upload(gpu, new Float32Array(size))];
      let ticks = 0;
      const timer = setInterval(() => ticks++, 1);
      // As many kernels as it takes to keep the device busy for a few milliseconds.
      let total = 0;
      for (let runs = 64; ticks < 5 && runs < 1e5; runs *= 2) {
        for (let i = 0; i < runs; i++) gpu.run(accumulate, { x, y }, { size });
        total += runs;
        expect((await gpu.read(y, size - 1))[0]).toBe(total);
      }
      clearInterval(timer);
      expect(ticks).toBeGreaterThanOrEqual(5);
    });

    test("wrong WGSL is an error with its line, and leaves nothing behind", async () => {
      const y = gpu.allocate("f32", 4);
      const right =
        "@group(0) @binding(1) var<storage, read_write> y: array<f32>;\n@compute @workgroup_size(1) fn main() {";
      gpu.run(broken("right", `${right} y[0] = 1.0; }`), { y }, {});
      await gpu.synchronize();
      const before = gpu.counts();
      const typo = broken("typo", "@compute @workgroup_size(1)\nfn main() {\n  y[0] = x;\n}\n");
      expect(() => gpu.run(typo, { y }, {})).toThrow(/kernel typo: WGSL[^]*wgsl:3:/);
      const unbound = broken(
        "unbound",
        "@group(0) @binding(7) var<storage, read_write> y: array<f32>;\n@compute @workgroup_size(1) fn main() { y[0] = 1.0; }",
      );
      expect(() => gpu.run(unbound, { y }, {})).toThrow(/kernel unbound: pipeline/);
      await gpu.synchronize();
      expect(gpu.counts()).toEqual(before);
    });

    test("a kernel may use subgroups where the adapter has them", async () => {
      const [adapter] = await listAdapters();
      const y = upload(gpu, new Float32Array(64));
      const wgsl = `@group(0) @binding(1) var<storage, read_write> y: array<f32>;
        @compute @workgroup_size(64) fn main(@builtin(local_invocation_index) i: u32) { y[i] = subgroupAdd(1.0); }`;
      const run = () => gpu.run(broken("subgroups", wgsl), { y }, {});
      if (adapter!.features.includes("subgroups")) {
        run();
        const sums = (await gpu.read(y)) as Float32Array;
        // Each thread has the number of threads in its subgroup, a power of two.
        expect(sums).toEqual(new Float32Array(64).fill(sums[0]!));
        expect([1, 2, 4, 8, 16, 32, 64]).toContain(sums[0]!);
      } else {
        expect(run).toThrow(DeviceError);
      }
      gpu.free(y);
    });

    test("misuse is an error that names kernel, buffer and values", () => {
      const [x, y] = [upload(gpu, normal(4)), upload(gpu, normal(4))];
      expect(() => gpu.run(accumulate, { x, y: x }, { size: 4 })).toThrow(
        /kernel accumulate, buffer y: the same buffer/,
      );
      expect(() => gpu.run(accumulate, { x, y }, {} as { size: number })).toThrow(
        /kernel accumulate: uniform size is missing/,
      );
      expect(() => gpu.run(accumulate, { x } as { x: typeof x; y: typeof y }, { size: 4 })).toThrow(
        /kernel accumulate: buffer y is missing/,
      );
      expect(() => gpu.run(accumulate, { x, y: openReference().allocate("f32", 4) }, { size: 4 })).toThrow(
        /another backend/,
      );
      expect(() => gpu.run({ ...accumulate, workgroups: () => [70_000, 1, 1] }, { x, y }, { size: 4 })).toThrow(
        /70000 × 1 × 1/,
      );
      expect(() => gpu.run({ ...accumulate, wgsl: `${accumulateWgsl}\n` }, { x, y }, { size: 4 })).toThrow(
        /two different kernels/,
      );
      gpu.free(x);
      expect(() => gpu.run(accumulate, { x, y }, { size: 4 })).toThrow(
        /kernel accumulate, buffer x: the buffer was freed/,
      );
      expect(() => gpu.free(x)).toThrow(/freed/);
    });

    test("too large a buffer or binding is an error with both sizes", () => {
      const length = Math.floor(gpu.limits.bufferBytes / 4) + 1;
      expect(() => gpu.allocate("f32", length)).toThrow(/larger than the device allows/);
      const size = Math.floor(gpu.limits.bindingBytes / 4) + 1;
      expect(() => {
        const [x, y] = [gpu.allocate("f32", size), upload(gpu, normal(4))];
        gpu.run(accumulate, { x, y }, { size: 4 });
      }).toThrow(/kernel accumulate, buffer x: .* binds at most|larger than the device allows/);
    });

    test("a run of steps leaves no object behind", async () => {
      const [x, y] = [upload(gpu, normal(100)), upload(gpu, normal(100))];
      const step = async (i: number) => {
        const temporary = upload(gpu, normal(100, i));
        for (let j = 0; j < 3; j++) gpu.run(accumulate, { x, y: temporary }, { size: 100 });
        gpu.run(accumulate, { x: temporary, y }, { size: 100 });
        gpu.free(temporary);
        gpu.flush();
        if (i % 50 === 0) await gpu.read(y, 0, 1);
      };
      for (let i = 0; i < 2; i++) await step(i);
      await gpu.synchronize();
      const [objects, held] = [gpu.counts(), gpu.statistics()];
      for (let i = 2; i < 1000; i++) await step(i);
      await gpu.synchronize();
      expect(gpu.counts()).toEqual(objects);
      expect(gpu.statistics()).toEqual(held);
    });

    test.each([true, false])("profile times every kernel in order, timestamps: %p", async (timestamps) => {
      const gpu = await openWgpu({ adapter: 0, checks: true, timestamps });
      const size = 1 << 18;
      const [x, y] = [upload(gpu, normal(size, 1)), upload(gpu, normal(size, 2))];
      const [lx, ly] = [upload(gpu, normal(1000)), gpu.allocate("f32", 1000)];
      const uniforms = { maps: 10, plane: 100, groupMaps: 10, reach: 2, k: 2, alpha: 0.1, beta: 0.75 };
      const start = performance.now();
      const times = await gpu.profile(() => {
        gpu.run(accumulate, { x, y }, { size });
        gpu.run(lrnForward, { x: lx, y: ly }, uniforms);
        gpu.write(lx, normal(1000, 9));
        gpu.run(accumulate, { x, y }, { size });
      });
      const wall = performance.now() - start;
      expect(times.map(({ kernel }) => kernel)).toEqual(["accumulate", "lrn_forward", "accumulate"]);
      for (const { ms } of times) expect(ms).toBeGreaterThan(0);
      expect(times.reduce((sum, { ms }) => sum + ms, 0)).toBeLessThanOrEqual(wall);
      const [first, second] = [normal(size, 1), normal(size, 2)];
      const expected = second.map((value, i) => {
        for (let run = 0; run < 2; run++) value = Math.fround(value + first[i]!);
        return value;
      });
      expect(Buffer.compare(bytesOf((await gpu.read(y)) as Float32Array), bytesOf(expected))).toBe(0);
      expect(await gpu.profile(() => {})).toEqual([]);
      await gpu.close();
    });

    test("more kernels are timed than one set of timestamps holds", async () => {
      const [x, y] = [upload(gpu, new Float32Array([1])), upload(gpu, new Float32Array([0]))];
      const start = performance.now();
      const times = await gpu.profile(() => {
        for (let i = 0; i < 2500; i++) gpu.run(accumulate, { x, y }, { size: 1 });
      });
      const wall = performance.now() - start;
      expect(times.length).toBe(2500);
      expect(times.every(({ kernel, ms }) => kernel === "accumulate" && ms >= 0)).toBe(true);
      expect(times.reduce((sum, { ms }) => sum + ms, 0)).toBeLessThanOrEqual(wall);
      expect((await gpu.read(y))[0]).toBe(2500);
    });

    test("profiling leaves nothing behind, also when an error comes through it", async () => {
      const [x, y] = [upload(gpu, new Float32Array([1])), upload(gpu, new Float32Array([0]))];
      gpu.run(accumulate, { x, y }, { size: 1 });
      await gpu.read(y);
      const objects = gpu.counts();
      const profiled = gpu.profile(() => {
        gpu.run(accumulate, { x, y }, { size: 1 });
        throw new Error("on purpose");
      });
      await expect(profiled).rejects.toThrow("on purpose");
      gpu.run(accumulate, { x, y }, { size: 1 });
      expect((await gpu.read(y))[0]).toBe(3);
      expect(gpu.counts()).toEqual(objects);
      expect((await gpu.profile(() => gpu.run(accumulate, { x, y }, { size: 1 }))).length).toBe(1);
    });

    test("closing frees everything, and later use is an error", async () => {
      const before = gpu.counts();
      const other = await openWgpu({ adapter: 0 });
      const [x, y] = [upload(other, normal(4)), upload(other, normal(4))];
      other.run(accumulate, { x, y }, { size: 4 });
      const pending = other.read(y);
      await pending;
      other.run(accumulate, { x, y }, { size: 4 });
      await other.close();
      await other.close();
      expect(gpu.counts()).toEqual(before);
      expect(() => other.allocate("f32", 1)).toThrow(/closed/);
      expect(() => other.run(accumulate, { x, y }, { size: 4 })).toThrow(DeviceError);
      await expect(other.read(y)).rejects.toThrow(/closed/);
      await expect(other.synchronize()).rejects.toThrow(/closed/);
    });

    test("what is awaited while the device is closed is an error", async () => {
      const other = await openWgpu({ adapter: 0 });
      const size = 1 << 20;
      const [x, y] = [upload(other, new Float32Array(size)), upload(other, new Float32Array(size))];
      for (let i = 0; i < 20; i++) other.run(accumulate, { x, y }, { size });
      const pending = [other.read(y), other.synchronize()];
      const ended = Promise.allSettled(pending);
      await other.close();
      for (const { status, reason } of (await ended) as PromiseRejectedResult[]) {
        expect(status).toBe("rejected");
        expect(reason.message).toMatch(/used after it was closed/);
      }
    });

    test("an adapter that is not there is an error that lists those that are", async () => {
      await expect(openWgpu({ adapter: "no such GPU" })).rejects.toThrow(/no GPU "no such GPU"; available: 0: /);
    });
  },
  ["wgpu"],
);

function bytesOf(data: Float32Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
