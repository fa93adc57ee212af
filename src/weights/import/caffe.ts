/**
 * Caffe's files: nets with weights (.caffemodel) and mean images (.binaryproto). Field numbers are those of
 * github.com/BVLC/caffe/blob/master/src/caffe/proto/caffe.proto.
 */
import { readWhole, type Bytes } from "../../io/bytes.ts";
import { brief, damaged, MAX_FILE } from "../../io/foreign.ts";
import { fieldsOf, floatOf, numbersOf, textOf, WireError, type Field } from "../../io/protobuf_reader.ts";
import { plural } from "../../words.ts";
import { BYTES, toFloat32 } from "./numbers.ts";
import { elements, whole, type ForeignLayer, type ForeignTensor, type WeightFile } from "./weight_file.ts";

/** NetParameter's fields of layers: the form in use since 2014, and the older one. */
const [LAYER, LAYER_V1] = [100, 2];
/** Field numbers of LayerParameter and V1LayerParameter. */
const FORMS = {
  [LAYER]: { name: 1, type: 2, blobs: 7, lrn: 118 },
  [LAYER_V1]: { name: 4, type: 5, blobs: 6, lrn: 18 },
} as const;
/** V1LayerParameter.LayerType. */
const [V1_LRN, V1_POOLING] = [15, 17];
const MAX_LAYERS = 10_000;
/** Far above what any layer's weights and any blob's dimensions need. */
const MAX_BLOBS = 100;
const MAX_DIMENSIONS = 32;

/** @throws CheckpointError or DataError when it is damaged, or not a net with weights */
export async function openCaffe(file: Bytes): Promise<WeightFile> {
  const bytes = await readWhole(file, MAX_FILE);
  return guarded(file.name, () => {
    const tensors = new Map<string, ForeignTensor>();
    const layers: ForeignLayer[] = [];
    let [count, name] = [0, ""];
    for (const field of fieldsOf(bytes)) {
      if (field.id === 1 && field.wire === 2) name = textOf(field);
      if (field.wire !== 2 || (field.id !== LAYER && field.id !== LAYER_V1)) continue;
      if (++count > MAX_LAYERS) throw new WireError(`more than ${MAX_LAYERS} layers`);
      readLayer(file.name, field, tensors, layers);
    }
    if (tensors.size === 0)
      throw damaged(file.name, `${plural(count, "layer")} without weights: not a trained Caffe net`);
    const metadata = { name: brief(name) };
    return { path: file.name, format: "Caffe", dictionaries: whole(tensors), layers, metadata, close: file.close };
  });
}

function readLayer(path: string, layer: Field, tensors: Map<string, ForeignTensor>, layers: ForeignLayer[]): void {
  const form = FORMS[layer.id as keyof typeof FORMS];
  let [name, kind] = ["", ""];
  const blobs: Field[] = [];
  let lrn: Field | undefined;
  for (const field of fieldsOf(layer.bytes)) {
    if (field.id === form.name) name = textOf(field);
    if (field.id === form.type) kind = field.wire === 0 ? (V1_KINDS[field.value] ?? "") : textOf(field);
    if (field.id === form.blobs && blobs.push(field) > MAX_BLOBS)
      throw new WireError(`a layer with more than ${MAX_BLOBS} blobs`);
    if (field.id === form.lrn) lrn = field;
  }
  if (kind === "LRN") layers.push({ kind: "lrn", name, lrn: readLrn(lrn) });
  if (kind === "Pooling") layers.push({ kind: "pool", name });
  // A layer's blobs are its weights and biases, in this order.
  for (const [i, blob] of blobs.entries()) {
    const part = i === 0 ? "weight" : i === 1 ? "bias" : String(i);
    tensors.set(`${name}.${part}`, readBlob(path, `${name}.${part}`, blob.bytes));
  }
}

const V1_KINDS: Readonly<Record<number, string>> = { [V1_LRN]: "LRN", [V1_POOLING]: "Pooling" };

/** LRNParameter with the defaults of caffe.proto. Caffe divides α by n. */
function readLrn(field: Field | undefined): NonNullable<ForeignLayer["lrn"]> {
  const lrn = { n: 5, alpha: 1, beta: 0.75, k: 1 };
  for (const part of field ? fieldsOf(field.bytes) : []) {
    if (part.id === 1) lrn.n = part.value;
    if (part.id === 2) lrn.alpha = floatOf(part);
    if (part.id === 3) lrn.beta = floatOf(part);
    if (part.id === 5) lrn.k = floatOf(part);
  }
  return lrn;
}

/** BlobProto: a shape, or num, channels, height and width; floats, packed or not, or doubles. */
function readBlob(path: string, name: string, bytes: Uint8Array): ForeignTensor {
  const old = [0, 0, 0, 0];
  let shape: number[] | undefined;
  let there = 0;
  for (const field of fieldsOf(bytes)) {
    if (field.id >= 1 && field.id <= 4 && field.wire === 0) old[field.id - 1] = field.value;
    if (field.id === 7) shape = dimensionsOf(field.bytes);
    const type = dataType(field);
    if (!type) continue;
    // Two halves of a number would add up to one.
    if (field.bytes.length % BYTES[type] !== 0)
      throw new WireError(`${field.bytes.length} bytes of numbers of ${BYTES[type]} bytes each`);
    there += field.bytes.length / BYTES[type];
  }
  const sides = shape ?? squeezed(old);
  const count = elements(path, name, sides);
  if (there !== count) {
    throw damaged(path, `"${brief(name)}" of shape ${sides.join("×")} needs ${count} numbers, has ${there}`);
  }
  return {
    shape: sides,
    async read() {
      const values = new Float32Array(count);
      let at = 0;
      for (const field of fieldsOf(bytes)) {
        const type = dataType(field);
        if (!type) continue;
        const part = toFloat32(field.bytes, type);
        values.set(part, at);
        at += part.length;
      }
      return values;
    },
  };
}

/** The type of the numbers in a blob's field, if it has any; `diff`, left from training, is ignored. */
function dataType({ id, wire }: Field): "f32" | "f64" | undefined {
  if (wire === 0) return undefined;
  return id === 5 ? "f32" : id === 8 ? "f64" : undefined;
}

/** BlobShape */
function dimensionsOf(bytes: Uint8Array): number[] {
  const sides: number[] = [];
  for (const field of fieldsOf(bytes)) {
    if (field.id === 1) sides.push(...numbersOf(field).slice(0, MAX_DIMENSIONS));
    if (sides.length > MAX_DIMENSIONS) throw new WireError(`a blob with more than ${MAX_DIMENSIONS} dimensions`);
  }
  return sides;
}

/** Old nets have four dimensions for everything: leading 1s mean nothing. */
function squeezed(shape: readonly number[]): number[] {
  const first = shape.findIndex((side) => side !== 1);
  return first < 0 ? [1] : shape.slice(first);
}

/** A mean image, channels × height × width, in Caffe's order of colours. @throws CheckpointError */
export async function readBinaryproto(file: Bytes): Promise<{ shape: readonly number[]; values: Float32Array }> {
  const bytes = await readWhole(file, MAX_FILE);
  const { shape, read } = guarded(file.name, () => readBlob(file.name, "mean", bytes));
  return { shape: shape.length === 4 && shape[0] === 1 ? shape.slice(1) : shape, values: await read() };
}

function guarded<T>(path: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof WireError) {
      throw damaged(path, `not a Caffe file, or damaged: ${error.message}`, error);
    }
    throw error;
  }
}
