/** Other programs' .safetensors files, with numbers of any type. */
import { openSafetensors } from "../safetensors.ts";
import { elements, whole, type ForeignTensor, type WeightFile } from "./weight_file.ts";

/** @throws CheckpointError when it is damaged */
export function openForeignSafetensors(path: string): WeightFile {
  const file = openSafetensors(path);
  try {
    const tensors = new Map<string, ForeignTensor>();
    for (const [name, { shape, read }] of file.tensors) {
      elements(path, name, shape);
      tensors.set(name, { shape, read: async () => read() });
    }
    const { metadata } = file;
    return { path, format: "safetensors", dictionaries: whole(tensors), metadata, close: async () => file.close() };
  } catch (error) {
    file.close();
    throw error;
  }
}
