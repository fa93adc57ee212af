import { size } from "../autograd/tensor.ts";
import type { Backend } from "../backends/backend.ts";
import { DeviceError } from "../errors.ts";
import type { PlacedLayer } from "../model/model.ts";

/**
 * Says before any work begins whether a batch fits the device.
 * @throws DeviceError with the largest batch that does
 */
export function checkFit(
  name: string,
  layers: readonly PlacedLayer[],
  batch: number,
  backend: Backend,
  work: "training" | "evaluating" = "training",
): void {
  const bytesOf = work === "training" ? trainingBytes : evaluationBytes;
  const { bindingBytes, totalBytes } = backend.limits;
  const fits = (images: number) =>
    largestTensorBytes(layers, images) <= bindingBytes && bytesOf(layers, images) <= totalBytes;
  if (fits(batch)) return;
  let [below, above] = [0, batch];
  while (above - below > 1) {
    const middle = Math.floor((below + above) / 2);
    if (fits(middle)) below = middle;
    else above = middle;
  }
  const overBinding = largestTensorBytes(layers, batch) > bindingBytes;
  const [needs, has] = overBinding
    ? [`a tensor of ${megabytes(largestTensorBytes(layers, batch))}`, `binds at most ${megabytes(bindingBytes)}`]
    : [megabytes(bytesOf(layers, batch)), `has ${megabytes(totalBytes)}`];
  throw new DeviceError(
    `${name} with a batch of ${batch} needs ${needs}, and the device (${backend.description}) ${has}: ` +
      (below > 0 ? `use --batch ${below} or less` : `use another device`),
  );
}

/**
 * A batch, of `most` images at most, for which so many bytes are enough; 0 if there is none. The half of what a training
 * step alone has room for: the validation between the steps, and what ops need on the way, have shapes of their own.
 */
export function fittingBatch(layers: readonly PlacedLayer[], most: number, bytes: number): number {
  const [none, one] = [trainingBytes(layers, 0), trainingBytes(layers, 1)];
  return Math.max(0, Math.min(most, Math.floor((bytes - none) / (one - none) / 2)));
}

/** The largest activation. Weights don't count: those over the limit are bound in parts. */
export function largestTensorBytes(layers: readonly PlacedLayer[], batch: number): number {
  const sizes = layers.flatMap(({ input, output }) => [size(input), size(output)]);
  return 4 * batch * Math.max(...sizes);
}

/** What a forward pass holds at most: weights, and activations, which are all kept until its end. */
function evaluationBytes(layers: readonly PlacedLayer[], batch: number): number {
  const [parameters, activations] = [parameterCount(layers), activationCount(layers)];
  return 4 * (parameters + batch * activations);
}

/** What a training step holds at most: weights, gradients and velocities, activations, and gradients of activations. */
export function trainingBytes(layers: readonly PlacedLayer[], batch: number): number {
  const [parameters, activations] = [parameterCount(layers), activationCount(layers)];
  // Gradients live only from one layer to the one before; the pool keeps two of the largest sizes.
  const gradients = 2 * Math.max(...layers.map(({ output }) => size(output)));
  return 4 * (3 * parameters + batch * (activations + gradients));
}

function parameterCount(layers: readonly PlacedLayer[]): number {
  return layers.flatMap((layer) => layer.parameters).reduce((sum, { shape }) => sum + size(shape), 0);
}

/** Of one image; what the layers keep for the backward pass included. */
function activationCount(layers: readonly PlacedLayer[]): number {
  return layers.reduce((sum, { layer, output }) => sum + size(output) * (1 + layer.kept), 0);
}

function megabytes(bytes: number): string {
  return `${Math.ceil(bytes / 1e6).toLocaleString("en-US")} MB`;
}
