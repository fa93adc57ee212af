/** .safetensors files of others: any type of numbers. */
import { openSafetensors } from "../safetensors.ts";
import { elements, whole, type SourceTensor, type WeightFile } from "./source.ts";

/** @throws CheckpointError when it is damaged */
export function openForeignSafetensors(path: string): WeightFile {
  const file = openSafetensors(path, "any");
  try {
    const tensors = new Map<string, SourceTensor>();
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
