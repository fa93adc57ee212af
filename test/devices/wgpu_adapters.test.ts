import { expect, test } from "bun:test";
import { bestFirst, featuresAmong } from "../../src/devices/wgpu/adapters.ts";
import { chooseAdapter, type AdapterDescription, type AdapterKind } from "../../src/devices/wgpu/backend.ts";

function adapter(name: string, kind: AdapterKind): AdapterDescription {
  const limits = {
    storageBuffers: 8,
    bindingBytes: 2 ** 27,
    bufferBytes: 2 ** 28,
    uniformAlignment: 256,
    storageAlignment: 256,
    workgroupBytes: 16_384,
    workgroupThreads: 256,
    workgroupsPerDimension: 65_535,
  };
  return { name, kind, api: "Vulkan", driver: "1.0", limits, features: [] };
}

const adapters = [
  adapter("NVIDIA GeForce RTX 4090", "discrete"),
  adapter("NVIDIA GeForce GTX 1060", "discrete"),
  adapter("Intel UHD Graphics 770", "integrated"),
  adapter("llvmpipe", "software"),
];

test.each([
  { wanted: undefined, found: "NVIDIA GeForce RTX 4090" },
  { wanted: 1, found: "NVIDIA GeForce GTX 1060" },
  { wanted: "2", found: "Intel UHD Graphics 770" },
  { wanted: "integrated", found: "Intel UHD Graphics 770" },
  { wanted: "gtx 1060", found: "NVIDIA GeForce GTX 1060" },
  { wanted: "1060", found: "NVIDIA GeForce GTX 1060" },
  { wanted: "software", found: "llvmpipe" },
])("adapter $wanted is $found", ({ wanted, found }) => {
  expect(chooseAdapter(adapters, wanted).name).toBe(found);
});

test("a software adapter is taken only when it is asked for", () => {
  expect(() => chooseAdapter(adapters.slice(3))).toThrow(/no GPU found but software.*0: llvmpipe \(software\)/);
});

test("an adapter that is not there is an error that lists those that are", () => {
  expect(() => chooseAdapter(adapters, "Radeon")).toThrow(
    /no GPU "Radeon"; available: 0: NVIDIA GeForce RTX 4090 \(discrete\)/,
  );
  expect(() => chooseAdapter(adapters, 4)).toThrow(/no GPU "4"/);
  expect(() => chooseAdapter([])).toThrow(/install its driver/);
});

test("features have the numbers by which a library lists them", () => {
  // Immediates and mappable buffers of wgpu-native, which are not used.
  expect([...featuresAmong([0x9, 0x30001, 0x3000e, 0x30021])]).toEqual([["timestamps", 0x9], ["subgroups", 0x30021]]); // prettier-ignore
  // WebGPU's own.
  expect([...featuresAmong([0xb, 0x12])]).toEqual([["f16", 0xb], ["subgroups", 0x12]]); // prettier-ignore
  expect([...featuresAmong([])]).toEqual([]);
});

test("a GPU that is there through several interfaces is listed once, through Vulkan rather than DX12", () => {
  const named = (name: string, kind: AdapterKind, api: string) => ({ ...adapter(name, kind), api });
  const found = bestFirst([
    named("Microsoft Basic Render Driver", "software", "DX12"),
    named("Intel UHD Graphics 770", "integrated", "DX12"),
    named("NVIDIA GeForce RTX 4090", "discrete", "DX12"),
    named("NVIDIA GeForce RTX 4090", "discrete", "Vulkan"),
    // Two of a kind are two.
    named("NVIDIA GeForce RTX 4090", "discrete", "Vulkan"),
  ]);
  expect(found.map(({ name, api }) => `${name}, ${api}`)).toEqual([
    "NVIDIA GeForce RTX 4090, Vulkan",
    "NVIDIA GeForce RTX 4090, Vulkan",
    "Intel UHD Graphics 770, DX12",
    "Microsoft Basic Render Driver, DX12",
  ]);
});
