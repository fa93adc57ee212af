/** `format` in the metadata of .safetensors files written for other programs. */
export const EXPORT_FORMAT = "alexnet-export-1";
