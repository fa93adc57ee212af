/** Opens a weights file of any known kind, recognised by its contents and not by its name. */
import { openFile, type Bytes } from "../../io/bytes.ts";
import { damaged } from "../../io/foreign.ts";
import { openZip } from "../../io/zip.ts";
import { openCaffe } from "./caffe.ts";
import { NPY_MAGIC, openNpy, openNpz } from "./numpy.ts";
import { openForeignSafetensors } from "./safetensors.ts";
import { LEGACY_MAGIC, openTorchLegacy, openTorchZip } from "./torch.ts";
import type { WeightFile } from "./weight_file.ts";

const KINDS = "PyTorch's (.pth, .pt), .safetensors, Caffe's (.caffemodel) and NumPy's (.npz, .npy) can be read";

/** @throws CheckpointError or DataError when it is missing, damaged, or of an unknown kind */
export async function openWeightFile(path: string): Promise<WeightFile & AsyncDisposable> {
  const file = await openFile(path);
  try {
    const found = await identify(file);
    return { ...found, [Symbol.asyncDispose]: found.close };
  } catch (error) {
    await file.close();
    throw error;
  }
}

async function identify(file: Bytes): Promise<WeightFile> {
  const head = Buffer.from(await file.read(0, Math.min(file.size, 32)));
  const starts = (magic: string) => head.toString("latin1", 0, magic.length) === magic;
  if (starts("PK\x03\x04")) {
    const entries = await openZip(file);
    const pickle = [...entries.keys()].find((name) => /^[^/]+\/data\.pkl$/.test(name));
    if (pickle) return openTorchZip(file, entries, pickle);
    if ([...entries.keys()].every((name) => name.endsWith(".npy"))) return openNpz(file, entries);
    throw damaged(file.name, `a zip archive, but neither PyTorch's nor NumPy's: ${KINDS}`);
  }
  if (starts(NPY_MAGIC)) return openNpy(file);
  if (starts(LEGACY_MAGIC)) return openTorchLegacy(file);
  // Safetensors: a length in eight bytes, then JSON.
  if (file.size > 8 && head[8] === 0x7b && head.readUIntLE(4, 4) === 0) {
    await file.close();
    return openForeignSafetensors(file.name);
  }
  if (starts("\x89HDF")) throw damaged(file.name, `an HDF5 file: ${KINDS}; save its weights with np.savez`);
  if (head.includes("././@LongLink") || file.name.endsWith(".tar"))
    throw damaged(file.name, `a .tar archive, as PyTorch wrote them before 0.1.10: ${KINDS}`);
  // Protobuf has no magic number; a net begins with its name or with a layer.
  if (head[0] === 0x0a || head[0] === 0x12 || starts("\xa2\x06")) return openCaffe(file);
  // A bare pickle of protocol 2 or later.
  if (head[0] === 0x80) throw damaged(file.name, `a pickle, but not from torch.save or np.save: ${KINDS}`);
  throw damaged(file.name, `not a weights file: ${KINDS}`);
}
