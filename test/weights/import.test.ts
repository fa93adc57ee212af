/** Weights from elsewhere are read number for number and matched to the right network; anything else is refused in one line. */
import { afterAll, describe, expect, test } from "bun:test";
import { existsSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { AlexNetError } from "../../src/errors.ts";
import { field, message, number, text } from "../../src/io/protobuf_writer.ts";
import { findNetwork } from "../../src/net/networks.ts";
import { matchNetwork } from "../../src/weights/import/match.ts";
import { openWeightFile } from "../../src/weights/import/open.ts";
import type { WeightFile } from "../../src/weights/import/weight_file.ts";
import { temporaryFolder } from "../support/folders.ts";
import {
  caffemodel,
  goldenFile,
  goldenValues,
  pickle,
  SHAPES,
  SMALL,
  zip,
  type ZipFile,
} from "../support/weight_files.ts";

const folder = temporaryFolder();
afterAll(folder.remove);

let made = 0;
function written(bytes: Uint8Array, name = "weights"): string {
  const path = join(folder.path, `${made++}-${name}`);
  writeFileSync(path, bytes);
  return path;
}

/** The parameters of the network that a file belongs to. */
async function parameters(bytes: Uint8Array, wanted?: string) {
  const file = await openWeightFile(written(bytes));
  try {
    const { network, parameters, ...rest } = matchNetwork(file, wanted === undefined ? undefined : findNetwork(wanted));
    const values = [];
    for (const { name, shape, read } of parameters) values.push({ name, shape, values: await read() });
    return { network: network.name, format: file.format, ...rest, values };
  } finally {
    await file.close();
  }
}

const WHOLE = { place: "", others: [] as string[], beside: [] as string[] };

async function expectGolden(bytes: Uint8Array, format: WeightFile["format"], from = WHOLE): Promise<void> {
  const { values, ...rest } = await parameters(bytes);
  expect(rest).toEqual({ network: "small", classes: 10, format, ...from });
  expect(values.map(({ name }) => name)).toEqual(Object.keys(SHAPES));
  for (const { name, shape, values: numbers } of values) {
    expect(shape).toEqual([...SHAPES[name]!]);
    expect(numbers).toEqual(goldenValues(name));
  }
}

const complaint = async (bytes: Uint8Array, wanted?: string): Promise<string> => {
  try {
    await parameters(bytes, wanted);
  } catch (error) {
    expect(error).toBeInstanceOf(AlexNetError);
    expect((error as Error).message).not.toContain("\n");
    return (error as Error).message;
  }
  throw new Error("it was read");
};

const GOLDEN = {
  PyTorch: [
    ...["zip.pth", "legacy.pth", "bfloat16.pth", "double-legacy.pth", "strides.pth"],
    ...["views.pth", "views-legacy.pth", "parameters.pth"],
  ],
  safetensors: ["half.safetensors"],
  NumPy: ["arrays.npz", "compressed.npz", "dictionary.npy"],
} as const;
for (const [format, names] of Object.entries(GOLDEN)) {
  describe(format, () => {
    test.each([...names])("%s", (name) => expectGolden(goldenFile(name), format as WeightFile["format"]));
  });
}

/** As test/golden/weights.py has them from PyTorch: optimisers, settings and much else lie beside the weights. */
describe("checkpoints of training scripts", () => {
  test.each([
    ["half-nested.pth", { ...WHOLE, place: "state_dict" }],
    ["imagenet.pth", { ...WHOLE, place: "state_dict" }],
    ["legacy-imagenet.pth", { ...WHOLE, place: "state_dict" }],
    ["timm.pth", { ...WHOLE, place: "state_dict", others: ["state_dict_ema"] }],
    ["lightning.pth", { ...WHOLE, place: "state_dict.net", beside: ["criterion.weight"] }],
    ["averaged.pth", { ...WHOLE, place: "net" }],
  ])("%s", async (name, from) => {
    await expectGolden(goldenFile(name), "PyTorch", from);
    // averaged.pth has an object that runs a command where it is unpickled without care.
    expect(existsSync("executed")).toBe(false);
  });

  test.each(["object.pth", "legacy-object.pth"])("%s: the weights are in an object", async (name) => {
    expect(await complaint(goldenFile(name))).toMatch(
      /it contains torch.nn.modules.linear.Linear, which is not a tensor; none of its code was run: save the state_dict\(\) alone/,
    );
  });
});

describe("Caffe", () => {
  test.each([{}, { old: true }, { unpacked: true }, { double: true, old: true }])("%p", (form) =>
    expectGolden(caffemodel(SMALL, form), "Caffe"),
  );

  test("a number that is cut in two is refused", async () => {
    const half = field(5, new Uint8Array(2));
    const blob = message(field(7, message(number(1, 1))), half, half);
    const layer = message(field(1, text("fc")), field(2, text("InnerProduct")), field(7, blob));
    const net = message(field(1, text("net")), field(100, layer));
    expect(await complaint(Buffer.concat(net))).toContain("or damaged: 2 bytes of numbers of 4 bytes each");
  });

  test("a net that normalises where ours does not is another", async () => {
    const said = await complaint(caffemodel([...SMALL.slice(0, 1), { kind: "lrn", name: "norm1" }, ...SMALL.slice(1)]));
    expect(said).toContain(
      "its weights have the shapes of small, but it has norm1 (n 5, k 1, α 0.0001/5, β 0.75), pool of",
    );
  });
});

describe("what is no weights", () => {
  const torch = (program: Uint8Array, files: readonly [string, ZipFile][] = []) =>
    zip([["archive/data.pkl", { contents: program }], ...files]);

  test("a pickle that calls what it likes runs nothing", async () => {
    const trace = join(folder.path, "trace");
    for (const [module, name] of [
      ["os", "system"],
      ["posix", "system"],
      ["builtins", "eval"],
      ["__builtin__", "exec"],
      ["subprocess", "Popen"],
      ["torch", "load"],
      ["collections", "OrderedDict\r.__init__"],
    ]) {
      const call = pickle(`c${module}\n${name}\n`, `(X${"\x10\0\0\0"}touch ${"x".repeat(10)}`, "tR");
      expect(await complaint(torch(call))).toMatch(/it contains \S+.*, which is not a tensor; none/);
    }
    const stack = pickle("\x8c\x02os", "\x8c\x06system", "\x93", `(X\x05\0\0\0touch`, "tR");
    expect(await complaint(torch(stack))).toContain("it contains os.system, which is not");
    expect(existsSync(trace)).toBe(false);
    expect(await complaint(goldenFile("module.pth"))).toContain(
      "it contains torch.nn.modules.linear.Linear, which is not",
    );
  });

  test.each([
    ["a type that is called", pickle("ctorch\nFloatStorage\n", ")R"), "its pickle calls torch.FloatStorage"],
    ["a text that is called", pickle("X\x02\0\0\0hi", ")R"), "calls something that is not a function"],
    ["an opcode for objects", pickle("(i"), 'has opcode "i" at byte 3, which weights'],
    ["an unknown opcode", pickle("\xff"), "has opcode 0xff at byte"],
    ["a huge text", pickle("X\xff\xff\xff\x7f"), "a text of 2147483647 bytes"],
    ["a huge run of bytes", pickle("\x8e\xff\xff\xff\xff\xff\xff\xff\x7f"), "is cut short"],
    ["a huge number", pickle("\x8b\xff\xff\xff\x7f"), "an integer of 2147483647 bytes, more than 64"],
    ["a number of many digits", pickle(`I${"7".repeat(100_000)}\n`), "a line of more than 40 bytes"],
    ["a value that was not kept", pickle("h\x07"), "uses value 7, which it has not stored"],
    ["an empty stack", pickle("0"), "takes from an empty stack"],
    ["a mark that is not there", pickle("t"), "a mark that it has not set"],
    ["no end", Buffer.from("\x80\x02}", "latin1"), "its pickle is cut short"],
    ["something else in place of a list", pickle("}Na"), "appends to something that is not a list"],
    ["something else in place of a dictionary", pickle("]NNs"), "not a dictionary"],
    ["a state of nothing", pickle("]Nb"), "sets the state of something"],
    ["too many steps", pickle("N0".repeat(1_100_000)), "more than 2000000 steps"],
    [
      "a list that a function is given again and again",
      pickle("ccollections\nOrderedDict\nq\0](", "NN\x86".repeat(1000), "e\x85q\x01", "h\0h\x01R0".repeat(2001)),
      "gives functions more than 2000000 items",
    ],
    ["nothing in it", pickle("}"), "it has no state dict (tensors by name): save"],
    ["nothing but texts", pickle("}X\x01\0\0\0aNs"), 'a dictionary of "a": save the state_dict() alone'],
    ["something outside", pickle("NQ"), "not a storage of numbers"],
  ])("%s", async (_, program, message) => {
    expect(await complaint(torch(program))).toContain(message);
  });

  test("deep nesting and lists that hold themselves are no trouble", async () => {
    const deep = pickle("]".repeat(500_000), "a".repeat(499_999));
    expect(await complaint(torch(deep))).toContain("it has no state dict");
    // Each list holds the one before it twice: 2^60 ways down.
    const bomb = pickle("]q\0", "]h\0ah\0aq\0".repeat(60), "}q\x01X\x01\0\0\0ah\0sX\x01\0\0\0bh\x01s");
    expect(await complaint(torch(bomb))).toContain('a dictionary of "a", "b"');
    // A dictionary of 60,000 is in another one 60,000 times.
    const each = (value: string) =>
      Array.from({ length: 60_000 }, (_, i) => `M${String.fromCharCode(i & 255, i >> 8)}${value}`).join("");
    expect(await complaint(torch(pickle("}(", each("N"), "uq\0}(", each("h\0"), "u")))).toContain("no state dict");
    const nested = pickle("}q\0X\x05\0\0\0modelh\0s");
    expect(await complaint(torch(nested))).toContain('a dictionary of "model"');
  });

  /** A state dict of one tensor of float32 whose storage has this many elements. */
  const tensor = (count: number, offset: number, shape: readonly number[], strides: readonly number[]) => {
    const whole = (n: number) => `\x8a\x08${Buffer.from(BigInt64Array.of(BigInt(n)).buffer).toString("latin1")}`;
    const tuple = (numbers: readonly number[]) => `(${numbers.map(whole).join("")}t`;
    const key = "X\x07\0\0\0storage" + "ctorch\nFloatStorage\n" + "X\x01\0\0\x000" + "X\x03\0\0\0cpu" + whole(count);
    return pickle(
      "}X\x01\0\0\0w" +
        "ctorch._utils\n_rebuild_tensor_v2\n" +
        `((${key}tQ${whole(offset)}${tuple(shape)}${tuple(strides)}`,
      "\x89)tRs",
    );
  };
  const storage = (bytes: number): [string, ZipFile] => ["archive/data/0", { contents: new Uint8Array(bytes) }];
  test.each([
    ["more than its storage", tensor(4, 0, [5], [1]), 16, /"w" of shape 5 takes 5 elements, 0 to 5, of a storage of 4/],
    ["an offset beyond it", tensor(4, 3, [2], [1]), 16, /takes 2 elements, 3 to 5, of a storage of 4/],
    ["one number many times", tensor(1, 0, [2 ** 20], [0]), 4, /takes 1048576 elements, 0 to 1, of a storage of 1/],
    ["an absurd shape", tensor(1, 0, [2 ** 40], [0]), 4, /"w" has the shape 1099511627776/],
    ["an absurd storage", tensor(2 ** 40, 0, [2], [1]), 8, /storage 0 has 8 bytes, its pickle says 4398046511104/],
    ["a negative stride", tensor(4, 0, [2], [-1]), 16, /lacks a storage, offset, shape or strides/],
    ["other ranks", tensor(4, 0, [2, 2], [1]), 16, /has 2 dimensions and 1 strides/],
    ["an odd number of bytes", tensor(4, 0, [4], [1]), 15, /storage 0 has 15 bytes, its pickle says 16/],
  ])("a tensor of %s", async (_, program, bytes, message) => {
    expect(await complaint(torch(program, [storage(bytes)]))).toMatch(message);
  });
  test("a tensor whose storage is not there", async () => {
    expect(await complaint(torch(tensor(4, 0, [4], [1])))).toContain("storage 0 is not in the archive");
  });

  test.each([
    ["nothing", "", /not a weights file: PyTorch's/],
    ["a text", "hello, these are weights", /not a weights file/],
    ["a pickle alone", "\x80\x02}.", /a pickle, but not from torch.save/],
    ["HDF5", "\x89HDF\r\n\x1a\n", /an HDF5 file/],
    ["a message of another kind", "\x0a\x03net", /0 layers without weights: not a trained Caffe net/],
    ["a cut message", "\x0a\x09net", /field 1 has 9 bytes, but its message has 3 left/],
    [
      "one array",
      "\x93NUMPY\x01\0\x3a\0{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}    \n",
      /one array, not/,
    ],
    ["a header that is none", "\x93NUMPY\x01\0\x02\0{}", /unknown form of header/],
  ])("%s", async (_, contents, message) => {
    expect(await complaint(Buffer.from(contents, "latin1"))).toMatch(message);
  });
});

describe("zip archives", () => {
  const archive = async (file: ZipFile, large = false) =>
    openWeightFile(written(zip([["w.npy", file]], large))).then((opened) =>
      opened.dictionaries[0]!.tensors.get("w")!.read().finally(opened.close),
    );
  const header = "{'descr': '<f4', 'fortran_order': False, 'shape': (3,)}";
  const contents = Buffer.concat([
    Buffer.from(`\x93NUMPY\x01\0${String.fromCharCode(header.length)}\0${header}`, "latin1"),
    new Uint8Array(Float32Array.of(2, 2, 2).buffer),
  ]);

  test("ZIP64, stored and deflated", async () => {
    for (const large of [false, true]) {
      for (const deflated of [false, true]) {
        expect(await archive({ contents, deflated }, large)).toEqual(Float32Array.of(2, 2, 2));
      }
    }
  });

  test.each<[string, ZipFile, RegExp]>([
    ["encrypted", { contents, flags: 1 }, /"w.npy" in it is encrypted/],
    ["packed in another way", { contents, method: 12 }, /is compressed by method 12/],
    ["a bomb", { contents: new Uint8Array(1e6), deflated: true, size: 2 ** 29 }, /claims to have 536870912 bytes/],
    ["a larger one", { contents: new Uint8Array(9), deflated: true, size: 2 ** 31 }, /files have more than 1073741824/],
    ["larger than said", { contents, deflated: true, size: 20 }, /can't be decompressed/],
    ["smaller than said", { contents, deflated: true, size: contents.length + 1 }, /has \d+ bytes instead of \d+/],
    ["stored in fewer bytes", { contents, size: 1000 }, /has 1000 bytes, but is stored as/],
  ])("%s", async (_, file, message) => {
    await expect(archive(file)).rejects.toThrow(message);
  });

  test("a name that is there twice, or leads elsewhere, is only a name", async () => {
    const twice = zip([
      ["a.npy", { contents }],
      ["a.npy", { contents }],
    ]);
    await expect(openWeightFile(written(twice))).rejects.toThrow(/"a.npy" is in the archive twice/);
    const away = await openWeightFile(written(zip([["../../etc/passwd.npy", { contents }]])));
    expect([...away.dictionaries[0]!.tensors.keys()]).toEqual(["../../etc/passwd"]);
    await away.close();
  });
});
