/** The CPU backend on one thread, as web pages have it: its kernels, order, failures, and that it gives way. */
import { afterAll, describe, expect, test } from "bun:test";
import { openCpu } from "../../src/devices/cpu/backend.ts";
import { openOneThread } from "../../src/devices/cpu/one_thread.ts";
import { Turns } from "../../src/devices/cpu/turns.ts";
import type { Backend } from "../../src/engine/backend.ts";
import { casesOf } from "../../src/engine/ops/cases.ts";
import { accumulateKernel } from "../../src/engine/tape.ts";
import { DeviceError } from "../../src/errors.ts";
import { small } from "../../src/net/cifar_networks.ts";
import { checkKernels, wordsOf } from "../../src/verbs/doctor/kernels.ts";
import { unshared } from "../../src/wasm/unshared.ts";
import { failing, scale } from "../support/cpu_kernels.ts";
import { kernelsFile } from "../support/kernels_file.ts";
import { testOrder, workOn } from "../support/order.ts";
import { smallCases } from "../web/cases.ts";
import { train } from "../web/training.ts";

const open = () => openOneThread(new WebAssembly.Module(unshared(kernelsFile())));
const backend = open();
afterAll(() => backend.close());

const { buffer, add } = workOn(backend);

test("every kernel computes what its reference does", async () => {
  const report = await checkKernels(backend, () => {}, smallCases(casesOf("cpu"), 5000));
  expect(wordsOf(report)).toBeUndefined();
  expect(report.kernels).toBeGreaterThan(50);
});

test("a training has the same losses and accuracy as with openCpu on one thread, bit for bit", async () => {
  const sizes = { train: 96, val: 32, epochs: 1, batch: 32 };
  const results: object[] = [];
  for (const device of [open(), await openCpu({ threads: 1, blas: false })] as Backend[]) {
    const { seconds: _, ...result } = await train(device, small, sizes);
    await device.close();
    results.push(result);
  }
  expect(results[0]).toEqual(results[1]!);
});

test("from the second step on no memory is allocated", async () => {
  const device = open();
  const { memory } = await train(device, small, { train: 64, val: 16, epochs: 2, batch: 16 });
  expect(memory[1]).toEqual(memory[0]);
  await device.close();
});

describe("order", () => {
  testOrder(backend);

  test("readNow does what is queued first", () => {
    const [x, y] = [buffer(1), buffer(2)];
    add(x, y);
    expect([...backend.readNow(y)]).toEqual([3]);
  });

  test("what is queued when it is closed is done", async () => {
    const own = open();
    const x = own.allocate("f32", 1);
    const y = own.allocate("f32", 1);
    own.write(x, Float32Array.of(1));
    own.write(y, Float32Array.of(2));
    own.run(accumulateKernel, { x, y }, { size: 1 });
    const read = own.read(y);
    await own.close();
    expect([...(await read)]).toEqual([3]);
    expect(() => own.allocate("f32", 1)).toThrow("cpu: the backend is closed");
  });
});

test("kernels without WebAssembly run their reference loop", async () => {
  const [x, y] = [buffer(1, 2, 3), buffer(0, 0, 0)];
  const [bytes, words] = [backend.allocate("u8", 1), backend.allocate("u32", 1)];
  backend.run(scale, { x, y, bytes, words }, { factor: 2 });
  expect([...(await backend.read(y))]).toEqual([2, 4, 6]);
  expect([...(await backend.read(words))]).toEqual([3]);
});

test("a kernel that fails is named by the read after it, and the backend lives on", async () => {
  const x = buffer(1);
  backend.run(failing, { x }, {});
  await expect(backend.read(x)).rejects.toThrow(new DeviceError("cpu: kernel fixture_failing failed: it always fails"));
  expect([...(await backend.read(x))]).toEqual([1]);
});

test("profile times each kernel in order", async () => {
  const [x, y] = [buffer(1), buffer(2)];
  const times = await backend.profile(() => {
    add(x, y);
    backend.run(scale, { x, y, bytes: backend.allocate("u8", 1), words: backend.allocate("u32", 1) }, { factor: 1 });
  });
  expect(times.map(({ kernel }) => kernel)).toEqual(["accumulate", "fixture_scale"]);
  for (const { ms } of times) expect(ms).toBeGreaterThanOrEqual(0);
});

test("what waits has its turn after 8 ms, also within a kernel", async () => {
  let now = 0;
  const turns = new Turns(() => now);
  const events: string[] = [];
  const { port1, port2 } = new MessageChannel();
  port1.onmessage = ({ data }) => events.push(`answer to ${data}`);
  const spend = (name: string, items: number, ms: number) =>
    turns.add({
      items,
      item(index) {
        now += ms;
        events.push(`${name} ${index}`);
        if (index % 2 === 0) port2.postMessage(`${name} ${index}`);
      },
    });
  spend("long", 3, 4);
  spend("short", 2, 1);
  await turns.after(() => {});
  expect(events).toEqual(["long 0", "long 1", "answer to long 0", "long 2", "short 0", "short 1"]);
  port1.close();
});

describe("unshared", () => {
  test("only a bit of the memory's limits differs", () => {
    const [before, after] = [kernelsFile(), unshared(kernelsFile())];
    const different = [...before.keys()].filter((i) => before[i] !== after[i]);
    expect(different).toHaveLength(1);
    expect(before[different[0]!]! ^ after[different[0]!]!).toBe(2);
  });

  test.each([
    [[]],
    [[0, 97, 115, 109, 1, 0, 0, 0]],
    [[0, 97, 115, 109, 1, 0, 0, 0, 2, 1, 0]],
    [[0, 97, 115, 109, 1, 0, 0, 0, 2, 255]],
  ])("a file that is no such binary: %p", (bytes) => {
    expect(() => unshared(Uint8Array.from(bytes))).toThrow("this WebAssembly imports no memory");
  });
});
