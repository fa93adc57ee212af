/** Checks an op's input tensors before anything reaches the device, so that errors are the same on all devices. */
import { ShapeError } from "../errors.ts";
import { show } from "../options.ts";
import type { ElementType } from "./kernel.ts";
import { format, Tensor, type AnyTensor, type Owner } from "./tensor.ts";

/** Element types of an op's tensors, where not f32; "any" if the op checks them itself. */
type InputTypes = Readonly<Record<string, ElementType | "any">>;

/**
 * @param op its name, for errors
 * @param tensors by argument name
 * @throws ShapeError unless all are tensors of one device and one tape (or none, like parameters), still have their
 * memory, and have the right types
 */
export function checkInputs(op: string, tensors: Readonly<Record<string, AnyTensor>>, types: InputTypes = {}): void {
  let first: string | undefined;
  let taped: string | undefined;
  for (const name in tensors) {
    const tensor = tensors[name]!;
    if (!(tensor instanceof Tensor)) throw new ShapeError(`${op}: ${name} is ${show(tensor)}, must be a Tensor`);
    if (tensor.isReleased) throw new ShapeError(`${op}: ${name}: ${tensor.whyReleased}`);
    const type = types[name] ?? "f32";
    const { stored } = tensor;
    if (type !== "any" && stored !== type && !(stored === "f16" && type === "f32")) {
      throw new ShapeError(`${op}: ${name}, ${format(tensor.shape)}, has type ${stored}, must be ${type}`);
    }
    first ??= name;
    if (tensor.backend !== tensors[first]!.backend) {
      throw new ShapeError(`${op}: ${name} is on another device than ${first}; an op's tensors must be on one device`);
    }
    if (!tensor.tape) continue;
    taped ??= name;
    if (tensor.tape !== tensors[taped]!.tape) {
      throw new ShapeError(`${op}: ${name} belongs to another tape than ${taped}; make both with this step's tape`);
    }
  }
}

/**
 * As `checkInputs`.
 * @returns the inputs' tape
 * @throws ShapeError as `checkInputs`, or when no input has a tape, so that nothing would own the result
 */
export function tapeFor(op: string, tensors: Readonly<Record<string, AnyTensor>>, types?: InputTypes): Owner {
  checkInputs(op, tensors, types);
  for (const name in tensors) if (tensors[name]!.tape) return tensors[name]!.tape;
  throw new ShapeError(`${op}: an op needs at least one input made by tape.input()`);
}

/** `tapeFor` for an op defined outside, whose inputs may have any type. */
export function tapeOf(...inputs: readonly AnyTensor[]): Owner {
  const names = inputs.map((_, i) => `input ${i + 1}`);
  return tapeFor(
    "tapeOf",
    Object.fromEntries(inputs.map((input, i) => [names[i]!, input])),
    Object.fromEntries(names.map((name) => [name, "any"])),
  );
}
