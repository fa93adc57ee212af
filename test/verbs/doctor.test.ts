/** The doctor finds problems with kernels, training and the machine, and redacts private paths. */
import { describe, expect, setDefaultTimeout, test } from "bun:test";
import { homedir } from "node:os";
import { join } from "node:path";
import { asView, type Backend, type Buffer } from "../../src/engine/backend.ts";
import { variantsOf } from "../../src/engine/cases.ts";
import { access, type BufferSpec } from "../../src/engine/kernel.ts";
import { kernelCases } from "../../src/engine/ops/cases.ts";
import { openReference } from "../../src/engine/reference.ts";
import { checkVariant } from "../../src/verbs/doctor/kernel_check.ts";
import { checkKernels, wordsOf } from "../../src/verbs/doctor/kernels.ts";
import { describeMachine, machineProblems } from "../../src/verbs/doctor/machine.ts";
import { difference } from "../../src/verbs/doctor/numbers.ts";
import { privatePaths, PROJECT, redact, redactAll } from "../../src/verbs/doctor/private.ts";
import { LOSS_BOUND, trainShortly } from "../../src/verbs/doctor/self_test.ts";

// Every kernel by plain loops, and trainings, on a machine that may be busy.
setDefaultTimeout(300_000);

describe("kernels", () => {
  /** A device on which some kernels do nothing. */
  const broken = (...names: string[]): Backend => {
    const reference = openReference();
    return {
      ...reference,
      run(kernel, buffers, uniforms) {
        if (!names.includes(kernel.name)) reference.run(kernel, buffers, uniforms);
      },
    };
  };

  test("wrong ones are named, once each, with sizes and numbers", async () => {
    const counts: number[] = [];
    // Plain loops take long for products.
    const quick = kernelCases.filter(({ kernel }) => !/^(conv2d|linear|local2d|winograd)/.test(kernel.name));
    const report = await checkKernels(broken("sgd", "max_pool_forward"), (done) => counts.push(done), quick);
    expect(report.wrong.map(({ kernel }) => kernel).sort()).toEqual(["max_pool_forward", "sgd"]);
    expect(report.wrong.find(({ kernel }) => kernel === "sgd")).toMatchObject({
      sizes: "size 1, rate 0.01, momentum 0.9, decay 0.0005, ahead 0",
      how: expect.stringMatching(/^w\[0\] is -?0\.\d+ instead of -?0\.\d+: off by /),
    });
    expect(report.kernels).toBeGreaterThan(30);
    expect(wordsOf(report)).toMatch(/^2 of \d+ kernels are wrong \((sgd, max_pool_forward|max_pool_forward, sgd)\): /);
    expect(wordsOf({ ...report, wrong: [] })).toBeUndefined();
    expect(counts.length).toBe(report.cases);
  });

  test("a variant must equal its kernel within its tolerance; or bit for bit, unless the device reorders sums", async () => {
    const reference = openReference();
    const each = kernelCases.find((each) => variantsOf(each).length > 0)!;
    const [variant] = variantsOf(each);
    /** Checks the variant on a device on which its results are off by this factor. */
    const check = (factor: number, { exactly = true, reordersSums = false }) => {
      const run: Backend["run"] = (kernel, buffers, uniforms) => {
        reference.run(kernel, buffers, uniforms);
        if (kernel.name !== variant!.name) return;
        for (const [name, spec] of Object.entries<BufferSpec>(kernel.buffers)) {
          if (access(spec) === "read") continue;
          const { data } = asView((buffers as Record<string, Buffer>)[name]!).buffer as Buffer & { data: Float32Array };
          for (const [i, value] of data.entries()) data[i] = value * factor;
        }
      };
      return checkVariant({ ...reference, run, reordersSums }, each, variant!, { exactly });
    };
    expect(await check(1, {})).toBeUndefined();
    expect(await check(1 + 1e-6, {})).toMatch(/instead of/);
    for (const lenient of [{ reordersSums: true }, { exactly: false }]) {
      expect(await check(1 + 1e-6, lenient)).toBeUndefined();
      expect(await check(1 + 1e-4, lenient)).toMatch(/instead of/);
    }
  });

  test("a device that fails ends the trial", async () => {
    const lost: Backend = {
      ...openReference(),
      read: () => Promise.reject(new Error("the device is lost")),
    };
    await expect(checkKernels(lost, () => {})).rejects.toThrow("the device is lost");
  });
});

test("arrays are close, or the message says where they differ", () => {
  expect(difference("y", [1, 2.0001], [1, 2], 1e-4)).toBeUndefined();
  expect(difference("y", [1, 2.001], [1, 2], 1e-4)).toBe(
    "y[1] is 2.001 instead of 2: off by 5.00e-4 of the largest (2.000), allowed 0.0001",
  );
  expect(difference("y", [1, NaN], [1, 2], 1e-4)).toMatch(/^y\[1\] is NaN instead of 2/);
  expect(difference("y", [0], [-0], 0)).toBe("y[0] is 0 instead of 0");
  expect(difference("y", [NaN], [NaN], 0)).toBeUndefined();
  expect(difference("y", [NaN, -Infinity, 2], [NaN, -Infinity, 2], 1e-4)).toBeUndefined();
  expect(difference("y", [0], [NaN], 1e-4)).toMatch(/^y\[0\] is 0 instead of NaN/);
  expect(difference("y", [Infinity], [-Infinity], 1e-4)).toMatch(/^y\[0\] is Infinity instead of -Infinity/);
  // Infinities don't count towards the scale.
  expect(difference("y", [Infinity, 1.1], [Infinity, 1], 1e-4)).toMatch(/^y\[1\] is 1.1 instead of 1/);
  expect(difference("y", [1], [1, 2], 1)).toBe("y: 1 numbers instead of 2");
});

test("a training learns, and reports its losses", async () => {
  const report = await trainShortly({ device: "cpu" }, () => {}, 280_000);
  expect(report.result).toBe("learned");
  expect(report.firstLoss).toBeWithin(2, 4);
  expect(report.loss).toBeLessThan(LOSS_BOUND);
  expect(report.steps % 20).toBe(0);
});

test("a training without time is too slow to tell, which is not a problem", async () => {
  const said: string[] = [];
  const report = await trainShortly({ device: "cpu", threads: 1 }, (line) => said.push(line), 0);
  expect(report.result).toBe("slow");
  expect(report.steps).toBeGreaterThan(0);
  expect(report.firstLoss).toBeWithin(2, 4);
  expect(said[0]).toMatch(/^loss \d\.\d{3} in epoch 1, step 1$/);
});

test("a full disk and little memory are problems", () => {
  const machine = describeMachine();
  expect(machine.disks.map(({ use }) => use)).toEqual(["runs", "cache"]);
  const disks = machine.disks.map((disk) => ({ ...disk, freeBytes: 1e9 }));
  expect(machineProblems({ ...machine, disks, freeMemoryBytes: 1.5e9 }).map(({ what }) => what)).toEqual([
    expect.stringMatching(/^only 1\.0 GB free on the disk of .*, where runs are saved$/),
    "only 1.5 GB of memory free",
  ]);
  const roomy = machine.disks.map((disk) => ({ ...disk, freeBytes: 1e12 }));
  expect(machineProblems({ ...machine, disks: roomy, freeMemoryBytes: 1e12 })).toEqual([]);
});

describe("private paths", () => {
  test("are replaced: the longest one counts, whole names only", () => {
    const paths = [
      ["/home/jane/net/cache", "$ALEXNET_CACHE"],
      ["/home/jane/net", "."],
      ["/home/jane", "~"],
    ] as const;
    const text = "at /home/jane/net/cache/native, /home/jane/net/src/x.ts:3, /home/jane: not /home/janet, /home/jane-2";
    expect(redact(text, paths)).toBe("at $ALEXNET_CACHE/native, ./src/x.ts:3, ~: not /home/janet, /home/jane-2");
    expect(redactAll({ a: [{ b: "/home/jane/x", c: 1, d: null }] }, paths)).toEqual({
      a: [{ b: "~/x", c: 1, d: null }],
    });
  });

  test("are the project, the working directory, home, and paths in the environment", () => {
    const paths = privatePaths({ ALEXNET_CACHE: "/somewhere/else", LD_PRELOAD: "libx.so" });
    expect(redact(`${join(PROJECT, "src")} ${join(homedir(), "x")} /somewhere/else/y libx.so`, paths)).toBe(
      `${join(".", "src").replace(/^src/, "./src")} ${join("~", "x")} $ALEXNET_CACHE/y libx.so`,
    );
  });
});
