/**
 * Every error a user can cause or meet. A message says what, where, both values, and what to do;
 * the command line prints it as one line and exits with `exitCode` (1 failed, 2 wrong usage).
 */
export class AlexNetError extends Error {
  readonly exitCode: number = 1;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A wrong option, argument or combination of them. */
export class UsageError extends AlexNetError {
  override readonly exitCode = 2;
}

/** Images, folders or archives that can't be used. */
export class DataError extends AlexNetError {
  constructor(message: string, options?: ErrorOptions) {
    super(oneLine(message), options);
  }
}

/** Tensors whose shapes don't fit together: a mistake in a model or in code that uses the library. */
export class ShapeError extends AlexNetError {}

/** A GPU, driver or native library that is missing, refuses or fails. */
export class DeviceError extends AlexNetError {}

/** A checkpoint that is missing, damaged, or belongs to another model. */
export class CheckpointError extends AlexNetError {}

/** A loss that is no longer a number. */
export class DivergedError extends AlexNetError {}

/** Text without control characters: names in archives may hold line ends, and codes that a terminal obeys. */
export function oneLine(text: string): string {
  return text.replace(/[\0-\x1f\x7f-\x9f]+/g, " ");
}
