/**
 * Base class of every error a user can cause or meet. A message says what, where, both values, and what to do; the
 * command line prints it as one line and exits with `exitCode` (1: failure, 2: wrong usage).
 */
export class AlexNetError extends Error {
  readonly exitCode: number = 1;
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = new.target.name;
  }
}

/** A wrong option or argument, or a wrong combination. */
export class UsageError extends AlexNetError {
  override readonly exitCode = 2;
}

/** An image, folder or archive that can't be used. */
export class DataError extends AlexNetError {
  constructor(message: string, options?: ErrorOptions) {
    super(oneLine(message), options);
  }
}

/** Shapes or sizes that don't fit together: a mistake in a model or in code that uses the library. */
export class ShapeError extends AlexNetError {}

/** A GPU, driver or native library that is missing or fails. */
export class DeviceError extends AlexNetError {}

/** A GPU was lost together with its memory; it may be possible to open it again. */
export class DeviceLostError extends DeviceError {}

/** A GPU does not have enough memory. */
export class DeviceMemoryError extends DeviceError {}

/** A native library on disk is not, or no longer, the published file. */
export class ChangedLibraryError extends DeviceError {}

/** A checkpoint that is missing, damaged, or belongs to another model. */
export class CheckpointError extends AlexNetError {}

/** The loss is no longer a number. */
export class DivergedError extends AlexNetError {}

/** Another rank of the same training failed. */
export class RankError extends AlexNetError {
  /** Whether that rank, or rank 0, reports it to the user. */
  readonly said: boolean;
  constructor(message: string, said: boolean) {
    super(message);
    this.said = said;
  }
}

/**
 * Invisible characters that change how the surrounding text is shown: control characters and text-direction marks. Joiners
 * are excluded: many scripts need them.
 */
export const INVISIBLE = /[\0-\x1f\x7f-\x9f]|(?![\u200c\u200d])\p{Cf}/gu;

/** Text without control characters: names in archives may contain line breaks and terminal escape codes. */
export function oneLine(text: string): string {
  return text.replace(/[\0-\x1f\x7f-\x9f]+/g, " ");
}
