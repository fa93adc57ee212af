/**
 * A library with nothing but webgpu.h's functions, as Dawn is: wgpu-native whose own are hidden. test/portability tries
 * Dawn itself.
 */
import { afterAll, beforeAll, expect, test } from "bun:test";
import { listAdapters, openWgpu, type WgpuBackend } from "../../src/devices/wgpu/backend.ts";
import { identityOf, loadWgpu, type Wgpu } from "../../src/devices/wgpu/library.ts";
import { casesOf } from "../../src/engine/ops/cases.ts";
import { kernel } from "../../src/engine/kernel.ts";
import { checkCase, expectedOf } from "../../src/verbs/doctor/kernel_check.ts";
import { describeBackends } from "../support/backends.ts";

describeBackends(
  "webgpu.h alone",
  () => {
    let wgpu: { native: Wgpu["native"] } & Wgpu;
    let native: Wgpu["native"];
    let gpu: WgpuBackend;
    beforeAll(async () => {
      wgpu = (await loadWgpu()) as typeof wgpu;
      native = wgpu.native;
      wgpu.native = undefined;
      gpu = await openWgpu({ adapter: 0 });
    });
    afterAll(async () => {
      await gpu.close();
      wgpu.native = native;
    });

    test("lists the library's one adapter", async () => {
      expect(await listAdapters()).toEqual([expect.objectContaining({ name: expect.stringMatching(/./) })]);
      expect(identityOf(wgpu)).toEqual({ name: "Dawn" });
    });

    // The smallest of each.
    const cases = new Map(
      casesOf("wgpu")
        .toReversed()
        .map((each) => [each.kernel.name, each]),
    );
    test.each(["relu_forward", "linear_forward", "softmax_forward"])("%s is right", async (name) => {
      const each = cases.get(name)!;
      expect(await checkCase(gpu, each, await expectedOf(each))).toBeUndefined();
    });

    test("wrong WGSL is an error that names the kernel", () => {
      const typo = kernel({
        name: "typo",
        module: import.meta.url,
        wgsl: "@compute @workgroup_size(1) fn typo() { let a = missing; }",
        buffers: { y: "write" },
        uniforms: {},
        workgroups: () => [1, 1, 1],
        reference() {},
      });
      const y = gpu.allocate("f32", 1);
      expect(() => gpu.run(typo, { y }, {})).toThrow(/kernel typo: WGSL[^]*missing/);
      gpu.free(y);
    });

    test("times are those of a clock", async () => {
      const each = cases.get("linear_forward")!;
      const times = await gpu.profile(() => {
        const made = Object.entries(each.kernel.buffers).map(([name]) => {
          const given = each.buffers[name]!;
          return [name, gpu.allocate("f32", typeof given === "number" ? given : given.length)] as const;
        });
        gpu.run(each.kernel, Object.fromEntries(made), each.uniforms);
      });
      expect(times.map((time) => time.kernel)).toEqual(["linear_forward"]);
      expect(times[0]!.ms).toBeWithin(0, 10_000);
    });

    test("its objects can't be counted, which is said", () => {
      expect(() => gpu.counts()).toThrow(/Dawn does not count its objects: unset WGPU_LIB_PATH/);
    });
  },
  ["wgpu"],
);
