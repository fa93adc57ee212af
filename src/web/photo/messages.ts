/** What the page and its worker, which computes, tell each other. */

export type DeviceChoice = "auto" | "webgpu" | "webassembly";

/** What the page asks for. Requests are answered in their order. */
export type Request =
  | {
      readonly type: "open";
      /** Compressed, as base64: the kernels' WebAssembly, and a checkpoint. */
      readonly kernels: string;
      readonly weights: string;
      readonly device: DeviceChoice;
      /** Answers are unsure where the first class has less. */
      readonly atLeast?: number;
    }
  /** @param map whether the class activation map of the most probable class is wanted too */
  | { readonly type: "classify"; readonly id: number; readonly image: Blob | ImageBitmap; readonly map: boolean }
  | { readonly type: "map"; readonly id: number; readonly record: Uint8Array; readonly label: number };

/** What the worker answers. */
export type Reply =
  | { readonly type: "opened"; readonly device: string; readonly hasMaps: boolean; readonly seen: number }
  /** Nothing can be computed: a sentence for people. */
  | { readonly type: "failed"; readonly message: string }
  /** The device was lost; from now on it is this one. */
  | { readonly type: "moved"; readonly device: string }
  | { readonly type: "answer"; readonly id: number; readonly answer: Answer }
  | { readonly type: "map"; readonly id: number; readonly map: ClassMap }
  /** This image can't be used: a sentence for people, without the image's name. */
  | { readonly type: "refused"; readonly id: number; readonly message: string };

export interface Answer {
  /** The most probable classes in order. */
  readonly classes: readonly { readonly label: number; readonly name: string; readonly probability: number }[];
  readonly unsure: boolean;
  readonly unlike: boolean;
  /** From the file to the probabilities. */
  readonly milliseconds: number;
  /** What the network sees of the image: S × S × 3 bytes. */
  readonly record: Uint8Array;
  readonly map?: ClassMap;
}

/** Where in the image something speaks for a class. */
export interface ClassMap {
  readonly label: number;
  readonly side: number;
  /** Side × side, row by row: 0 where nothing does. */
  readonly values: Float32Array;
}
