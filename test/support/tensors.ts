import { readFileSync } from "node:fs";

/** SHA-256 of the tensors in a safetensors file, with names and shapes; what else the file says may change. */
export function tensorsOf(path: string): string {
  const file = readFileSync(path);
  const end = 8 + Number(file.readBigUInt64LE(0));
  const header = JSON.parse(file.toString("utf8", 8, end)) as Record<
    string,
    { shape: number[]; data_offsets: [number, number] }
  >;
  const hash = new Bun.CryptoHasher("sha256");
  for (const name of Object.keys(header).sort()) {
    if (name === "__metadata__") continue;
    const { shape, data_offsets } = header[name]!;
    hash.update(`${name} ${shape.join("×")}\n`);
    hash.update(file.subarray(end + data_offsets[0], end + data_offsets[1]));
  }
  return hash.digest("hex");
}
