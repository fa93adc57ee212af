/** What marks the .safetensors files that are written for other programs. */
export const EXPORT_FORMAT = "alexnet-export-1";
