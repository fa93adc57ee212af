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

/** A GPU that was there, and has gone with all that was on it; it may be opened again. */
export class DeviceLostError extends DeviceError {}

/** A GPU without enough memory for what it is asked to hold. */
export class DeviceMemoryError extends DeviceError {}

/** A native library on the disk that is not, or no longer, the file that was published. */
export class ChangedLibraryError extends DeviceError {}

/** A checkpoint that is missing, damaged, or belongs to another model. */
export class CheckpointError extends AlexNetError {}

/** A loss that is no longer a number. */
export class DivergedError extends AlexNetError {}

/** Another rank of the same training can't go on. */
export class RankError extends AlexNetError {
  /** Whether that rank, or rank 0, says so to the user. */
  readonly said: boolean;
  constructor(message: string, said: boolean) {
    super(message);
    this.said = said;
  }
}

/**
 * What can't be seen in a stranger's words but changes how those around them are shown: control characters, and marks
 * that turn the direction of text. Joiners are none of them: many scripts need those.
 */
export const UNSEEN = /[\0-\x1f\x7f-\x9f]|(?![\u200c\u200d])\p{Cf}/gu;

/** Text without control characters: names in archives may hold line ends, and codes that a terminal obeys. */
export function oneLine(text: string): string {
  return text.replace(/[\0-\x1f\x7f-\x9f]+/g, " ");
}
