/**
 * How failures of the standard WebGPU API, which come later than the calls that cause them, are told. The API is a fake
 * that computes nothing; test/web/page.test.ts has the real one, in Chromium.
 */
import { expect, test } from "bun:test";
import { LIMITS, type ErrorFilter, type Gpu, type GpuDevice } from "../../src/devices/webgpu/api.ts";
import { openWebGpu } from "../../src/devices/webgpu/backend.ts";
import { accumulateKernel } from "../../src/engine/tape.ts";
import { DeviceError, DeviceLostError, DeviceMemoryError } from "../../src/errors.ts";

/** What happens, for the tests to read and to bring about. */
class Fake {
  readonly calls: string[] = [];
  /** What the next error scopes of each kind give. */
  readonly scopes: Partial<Record<ErrorFilter, string>> = {};
  readonly lost = Promise.withResolvers<{ reason: string; message: string }>();
  readonly vendor: string;
  readonly architecture: string;
  uncaptured: (message: string) => void = () => {};
  #open: ErrorFilter[] = [];

  constructor(vendor = "maker", architecture = "chip") {
    this.vendor = vendor;
    this.architecture = architecture;
  }

  readonly gpu: Gpu = { requestAdapter: async () => this.#adapter() };

  #adapter() {
    return {
      features: { has: () => false },
      limits: Object.fromEntries(LIMITS.map((name) => [name, name.startsWith("min") ? 256 : 2 ** 20])) as never,
      info: { vendor: this.vendor, architecture: this.architecture, device: "", description: "" },
      requestDevice: async () => this.#device(),
    };
  }

  #device(): GpuDevice {
    const note = (call: string) => void this.calls.push(call);
    const pass = { setPipeline() {}, setBindGroup() {}, dispatchWorkgroups: () => note("dispatch"), end() {} };
    const buffer = () => ({
      mapAsync: async () => {},
      getMappedRange: (_: number, size: number) => new ArrayBuffer(size),
      unmap() {},
      destroy: () => note("destroy"),
    });
    return {
      queue: { submit: () => note("submit"), writeBuffer: () => note("write"), onSubmittedWorkDone: async () => {} },
      lost: this.lost.promise,
      createBuffer: () => (note("buffer"), buffer()),
      createBindGroupLayout: () => ({}),
      createPipelineLayout: () => ({}),
      createBindGroup: () => (note("group"), {}),
      createShaderModule: () => ({}),
      createComputePipeline: () => (note("pipeline"), {}),
      createQuerySet: () => ({ destroy() {} }),
      createCommandEncoder: () => ({
        beginComputePass: () => pass,
        copyBufferToBuffer: () => note("copy"),
        resolveQuerySet() {},
        finish: () => ({}),
      }),
      pushErrorScope: (filter) => void this.#open.push(filter),
      popErrorScope: async () => {
        const filter = this.#open.pop()!;
        const message = this.scopes[filter];
        delete this.scopes[filter];
        return message === undefined ? null : { message };
      },
      addEventListener: (_, listener) => (this.uncaptured = (message) => listener({ error: new Error(message) })),
      destroy: () => this.lost.resolve({ reason: "destroyed", message: "" }),
    };
  }
}

async function open(vendor?: string, architecture?: string) {
  const fake = new Fake(vendor, architecture);
  return { fake, backend: await openWebGpu({ gpu: fake.gpu }) };
}

test("no API, no adapter, and an adapter that gives no device", async () => {
  await expect(openWebGpu()).rejects.toThrow(/^WebGPU is missing: /);
  const none: Gpu = { requestAdapter: async () => null };
  await expect(openWebGpu({ gpu: none })).rejects.toThrow(
    new DeviceError("WebGPU: there is no adapter: the browser or its settings allow no GPU"),
  );
  const adapter = (await new Fake().gpu.requestAdapter())!;
  const refusing = { ...adapter, requestDevice: () => Promise.reject(new TypeError("too many")) };
  await expect(openWebGpu({ gpu: { requestAdapter: async () => refusing } })).rejects.toThrow(
    new DeviceError("maker chip: it gives no device: too many"),
  );
});

test("memory that runs out is told by what comes after it, once", async () => {
  const { fake, backend } = await open();
  fake.scopes["out-of-memory"] = "no room";
  const x = backend.allocate("f32", 4);
  await backend.synchronize().then(
    () => expect.unreachable(),
    (error: unknown) => {
      expect(error).toBeInstanceOf(DeviceMemoryError);
      expect((error as Error).message).toBe(
        "maker chip: a buffer of 16 bytes (0 bytes are already allocated): out of memory: use a smaller batch",
      );
    },
  );
  expect([...(await backend.read(x))]).toEqual([0, 0, 0, 0]);
});

test("nothing is read after a kernel that failed", async () => {
  const { fake, backend } = await open();
  const [x, y] = [backend.allocate("f32", 4), backend.allocate("f32", 4)];
  fake.scopes.validation = "wrong\n - While calling [Device].CreateComputePipeline\n";
  backend.run({ ...accumulateKernel, name: "wrong", wgsl: "" }, { x, y }, { size: 4 });
  await expect(backend.read(y)).rejects.toThrow(new DeviceError("maker chip: a layout of 2 buffers: wrong"));
});

test("an error outside of every call is told by the next", async () => {
  const { fake, backend } = await open();
  fake.uncaptured("something\n  happened");
  expect(() => backend.allocate("f32", 1)).toThrow(new DeviceError("maker chip: something: happened"));
  backend.allocate("f32", 1);
});

test("once lost, always lost", async () => {
  const { fake, backend } = await open();
  const x = backend.allocate("f32", 1);
  fake.lost.resolve({ reason: "unknown", message: "it was reset" });
  await fake.lost.promise;
  for (const use of [() => backend.write(x, Float32Array.of(1)), () => backend.allocate("f32", 1)]) {
    expect(use).toThrow(
      new DeviceLostError(
        "maker chip: the device is lost (driver reset, a kernel that took too long, or out of memory): it was reset",
      ),
    );
  }
  await backend.close();
});

test("the same kernel on the same buffers creates nothing the second time", async () => {
  const { fake, backend } = await open();
  const [x, y] = [backend.allocate("f32", 4), backend.allocate("f32", 4)];
  const step = async () => {
    backend.run(accumulateKernel, { x, y }, { size: 4 });
    await backend.read(y);
  };
  await step();
  const first = fake.calls.splice(0);
  await step();
  expect(first).toContainValues(["pipeline", "group"]);
  expect(fake.calls).toEqual(["dispatch", "copy", "write", "submit"]);
});

test("a buffer that is freed lives until the kernels before are submitted", async () => {
  const { fake, backend } = await open();
  const [x, y] = [backend.allocate("f32", 4), backend.allocate("f32", 4)];
  backend.run(accumulateKernel, { x, y }, { size: 4 });
  backend.free(x);
  expect(fake.calls).not.toContain("destroy");
  backend.flush();
  expect(fake.calls.slice(-2)).toEqual(["submit", "destroy"]);
  backend.free(y);
  expect(fake.calls.at(-1)).toBe("destroy");
  expect(() => backend.free(y)).toThrow(DeviceError);
});

test("software and Metal are known by the names that browsers give them", async () => {
  expect((await open("google", "swiftshader")).backend.adapterKind).toBe("software");
  expect((await open("nvidia", "hopper")).backend.adapterKind).toBe("other");
  expect((await open("apple")).backend.reordersSums).toBe(true);
  expect((await open("maker")).backend.reordersSums).toBe(false);
});
