/** Checks the tensors that an op is given, before any of it reaches the device: what is wrong is said the same on every one. */
import { ShapeError } from "../errors.ts";
import { show } from "../options.ts";
import type { ElementType } from "./kernel.ts";
import { format, Tensor, type Owner } from "./tensor.ts";

/** The types that an op's tensors must have where that is not f32; "any" where the op says more itself. */
export type InputTypes = Readonly<Record<string, ElementType | "any">>;

/**
 * @param op for errors
 * @param tensors by the names of the op's arguments
 * @throws ShapeError unless all are tensors of one device and one tape (or of none, as parameters are), hold their memory
 * still, and have the right types
 */
export function checkInputs(op: string, tensors: Readonly<Record<string, Tensor>>, types: InputTypes = {}): void {
  let first: string | undefined;
  let taped: string | undefined;
  for (const name in tensors) {
    const tensor = tensors[name]!;
    if (!(tensor instanceof Tensor)) throw new ShapeError(`${op}: ${name} is ${show(tensor)}, must be a Tensor`);
    if (tensor.isReleased) throw new ShapeError(`${op}: ${name}: ${tensor.whyReleased}`);
    const type = types[name] ?? "f32";
    if (type !== "any" && tensor.buffer.type !== type) {
      throw new ShapeError(
        `${op}: ${name}, ${format(tensor.shape)}, is of type ${tensor.buffer.type}, must be ${type}`,
      );
    }
    first ??= name;
    if (tensor.backend !== tensors[first]!.backend) {
      throw new ShapeError(`${op}: ${name} is on another device than ${first}; all tensors of an op must be on one`);
    }
    if (!tensor.tape) continue;
    taped ??= name;
    if (tensor.tape !== tensors[taped]!.tape) {
      throw new ShapeError(`${op}: ${name} is of another tape than ${taped}; make both with the tape of this step`);
    }
  }
}

/**
 * As `checkInputs`.
 * @returns the tape of an op's inputs
 * @throws ShapeError, also when none has a tape: then nothing would own the result
 */
export function tapeFor(op: string, tensors: Readonly<Record<string, Tensor>>, types?: InputTypes): Owner {
  checkInputs(op, tensors, types);
  for (const name in tensors) if (tensors[name]!.tape) return tensors[name]!.tape;
  throw new ShapeError(`${op}: an op needs at least one input made by tape.input()`);
}

/** `tapeFor` an op of one's own, whose inputs may be of any type. */
export function tapeOf(...inputs: readonly Tensor[]): Owner {
  const names = inputs.map((_, i) => `input ${i + 1}`);
  return tapeFor(
    "tapeOf",
    Object.fromEntries(inputs.map((input, i) => [names[i]!, input])),
    Object.fromEntries(names.map((name) => [name, "any"])),
  );
}
